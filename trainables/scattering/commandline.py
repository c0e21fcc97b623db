"""The shell's command that does the same run without Ray. Standard library only."""

from collections.abc import Callable, Sequence

from trainables.scattering.config import ScatteringConfig

ORDER = (
    *("dataset", "global_batch_size", "data_dir", "lr_epochs", "print_freq"),
    *("n_blocks", "L", "lowpass_last", "modulus_type", "mixing_horizon", "train_size"),
)
"""The flags of the commands in the original experiments' description, in its order."""
ALWAYS = ("n_blocks", "L")
"""The flags that each of those commands has."""


def command(configs: Sequence[ScatteringConfig], num_workers: int, flags: Callable[..., list[str]]) -> list[str]:
    """The command's arguments for the run of a single configuration.

    `flags(config, base, order, always)` gives the flags of the fields in which `config` differs from `base`, and of
    those in `always`.
    """
    (config,) = configs
    torchrun = ["torchrun", f"--nproc_per_node={num_workers}", "-m", "trainables.scattering"]
    return [*torchrun, *flags(config, ScatteringConfig(), ORDER, ALWAYS)]
