"""The shell's command that does the same series of seeds without Ray. Standard library only."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from trainables.airbench.config import ABLATIONS, AirbenchConfig


def command(configs: Sequence[AirbenchConfig], num_workers: int, flags: Callable[..., list[str]]) -> list[str]:
    """The command's arguments for runs that differ in consecutive seeds alone, starting from the nearest named step.

    `flags(config, base, order)` gives the flags of the fields in which `config` differs from `base`.
    """
    first = configs[0]
    own = {"dataset": "cifar10" if first.data_dir else "digits"}  # `python -m trainables.airbench` decides by this, too
    name = min(ABLATIONS, key=lambda name: _differences(first, replace(ABLATIONS[name], **own)))
    start = ["torchrun", f"--nproc_per_node={num_workers}"] if num_workers > 1 else ["python"]
    changes = flags(first, replace(ABLATIONS[name], **own), ("dataset", "data_dir"))
    runs = ["--runs", str(len(configs))] if len(configs) > 1 else []
    return [*start, "-m", "trainables.airbench", "--ablation", name, *changes, *runs]


def _differences(one: AirbenchConfig, other: AirbenchConfig) -> int:
    """Number of fields in which two configurations differ."""
    return sum(getattr(one, f.name) != getattr(other, f.name) for f in fields(AirbenchConfig))
