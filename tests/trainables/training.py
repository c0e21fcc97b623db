"""Short trainings, the labels of their test images, and the command that starts several processes."""

import numpy as np
from sklearn.datasets import load_digits

from trainables.scattering import ScatteringConfig, train

SMALL = {"n_blocks": 2, "L": 4, "kernel_size": 5, "train_size": 0.2, "print_freq": 0}


def digit_labels() -> list[int]:
    """The labels of the embedded test images, in their order."""
    return load_digits().target[np.arange(1797) % 5 == 4].tolist()


def results(config: ScatteringConfig) -> dict:
    """The last report of a run."""
    *_, last = train(config)
    assert last["event"] == "result"
    return last


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
