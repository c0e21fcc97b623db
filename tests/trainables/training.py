"""Short trainings, and the command that starts several processes."""

from trainables.scattering import ScatteringConfig, train

SMALL = {"n_blocks": 2, "L": 4, "kernel_size": 5, "train_size": 0.2, "print_freq": 0}


def results(config: ScatteringConfig) -> dict:
    """The last report of a run."""
    *_, last = train(config)
    assert last["event"] == "result"
    return last


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
