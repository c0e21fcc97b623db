"""The command that does the same run without Ray. Standard library only."""

from collections.abc import Callable, Sequence

from trainables.scattering.config import ScatteringConfig

ORDER = (
    *("dataset", "global_batch_size", "data_dir", "lr_epochs", "print_freq"),
    *("n_blocks", "L", "lowpass_last", "modulus_type", "mixing_horizon", "train_size"),
)
"""The flags of the experiments' seed document, in its order."""
ALWAYS = ("n_blocks", "L")
"""What the seed document gives in every command."""


def command(configs: Sequence[ScatteringConfig], num_workers: int, flags: Callable[..., list[str]]) -> list[str]:
    """The arguments of a run; `flags(config, base, order, always)` writes the fields in which it is not the base."""
    (config,) = configs
    torchrun = ["torchrun", f"--nproc_per_node={num_workers}", "-m", "trainables.scattering"]
    return [*torchrun, *flags(config, ScatteringConfig(), ORDER, ALWAYS)]
