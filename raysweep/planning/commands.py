"""Writes the plan as shell commands, each of which trains as the sweep would train the same run."""

import dataclasses
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from raysweep.modules import file_of
from raysweep.planning.runs import PlannedRun
from raysweep.trainable_loader import load_trainable

LAST = "save_dir"


def shell_commands(runs: Sequence[PlannedRun]) -> list[str]:
    """Return lines to paste into a shell: a comment and a command for each run.

    Runs of consecutive seeds that share processes get one command if their trainable's own command takes several seeds.
    The commands save outside the sweep's folders, since a sweep that found their files there would record its own
    versions, machine and times for them.
    """
    lines = []
    together = _series(runs)
    several = Counter(series[0].experiment.name for series in together)
    for series in together:
        experiment = series[0].experiment
        seeds = (
            f", seed{'s' * (len(series) > 1)} {_spoken_seeds(series)}"
            if several[experiment.name] > 1 or len(series) > 1
            else ""
        )
        why = f": {experiment.why}" if experiment.why else ""
        lines.append(f"# {experiment.name}{seeds}{why} (priority {experiment.priority})")
        lines += [shlex.join(command) for command in _commands(series)]
    return lines


def flags(config: Any, base: Any | None = None, order: Sequence[str] = (), always: Collection[str] = ()) -> list[str]:
    """Return flags for the fields of `always` and for those that differ from `base`, or from their defaults.

    The fields of `order` come first, save_dir last. The flags are written as tyro reads them:
    `--n-blocks 5 --lowpass-last --no-augment`.
    """
    fields = {f.name: f for f in dataclasses.fields(config)}
    names = [*order, *(name for name in fields if name not in (*order, LAST)), *({LAST} & fields.keys())]
    found = []
    for name in names:
        value, usual = getattr(config, name), _default(fields[name]) if base is None else getattr(base, name)
        if value == usual and name not in always:
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        elif str(value).startswith("-"):
            found.append(f"--{flag}={value}")
        else:
            found += [f"--{flag}", str(value)]
    return found


def _default(field: "dataclasses.Field[Any]") -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _commands(series: Sequence[PlannedRun]) -> list[list[str]]:
    """Return the trainable's own command for the runs or, if it has none, a command with flags for each run."""
    first = series[0]
    own = load_trainable(first.experiment.trainable).command(_saved_apart(series), first.num_workers, flags)
    if own is not None:
        return [own]
    file = file_of(first.experiment.trainable)
    module = [str(file)] if file else ["-m", first.experiment.trainable]
    torchrun = ["torchrun", f"--nproc_per_node={first.num_workers}", *module]
    return [[*torchrun, *flags(*_saved_apart([run]))] for run in series]


def _saved_apart(series: Sequence[PlannedRun]) -> list[Any]:
    """The runs' configurations, with a save_dir that no sweep uses."""
    first = series[0]
    folder = f"{first.dataset}_runs/{first.experiment.name}-s{_spoken_seeds(series)}-{first.key[:8]}"
    return [dataclasses.replace(run.config, save_dir=folder) for run in series]


def _series(runs: Sequence[PlannedRun]) -> list[list[PlannedRun]]:
    """Group the runs of an experiment with consecutive seeds, if its trials train several runs in one process."""
    together: list[list[PlannedRun]] = []
    for run in runs:
        last = together[-1][-1] if together else None
        if (
            last
            and run.experiment.runs_per_trial > 1
            and (run.experiment, run.num_workers) == (last.experiment, last.num_workers)
            and run.config == dataclasses.replace(last.config, seed=last.config.seed + 1, save_dir=run.config.save_dir)
        ):
            together[-1].append(run)
        else:
            together.append([run])
    return together


def _spoken_seeds(series: Sequence[PlannedRun]) -> str:
    """The seeds as people write them: `42` for one, `0-4` for several."""
    first, last = series[0].config.seed, series[-1].config.seed
    return f"{first}" if first == last else f"{first}-{last}"
