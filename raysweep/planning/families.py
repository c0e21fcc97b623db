"""Finds the families that a command can name: those of the project, or the one in the file of --space."""

import ast
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from raysweep.experiment import Family
from raysweep.messages import PlanError
from raysweep.modules import import_file
from raysweep.paths import expanded
from raysweep.planning.options import Options

NAME = "FAMILY"
"""The name under which the file of --space defines its family."""


def families_of(options: Options, of_the_project: Callable[[], Sequence[Family]]) -> Sequence[Family]:
    """The families that the options can name. Raises PlanError if the file of --space defines none."""
    return (load_family(Path(options.space)),) if options.space else of_the_project()


def load_family(file: Path) -> Family:
    """The family that a Python file defines. Raises PlanError, with file and line, if it defines no usable one."""
    module = import_file(file)
    text = expanded(file).read_text()
    family = getattr(module, NAME, None)
    if family is None:
        raise PlanError(f"{file}:{len(text.splitlines())}: the file ends without a {NAME}")
    try:
        if not isinstance(family, Family):
            raise ValueError(f"{NAME} is a {type(family).__name__}, no Family of raysweep.experiment")
        _require_usable(family)
    except ValueError as error:
        raise PlanError(f"{file}:{_line_of(NAME, text)}: {error}") from None
    return family


def datasets_of(options: Options, families: Sequence[Family]) -> str:
    """The data sets to list in the help of --dataset: those of the named group's family, or of each family."""
    chosen = [f for f in families if {group.name for group in f.groups} & {*options.group}] or list(families)
    takes: dict[str, list[str]] = {}
    for family in chosen:
        takes.setdefault(", ".join(family.all_datasets), []).append(family.name)
    if len(takes) == 1:
        return f"one of {next(iter(takes))}"
    return "; ".join(f"of {' and '.join(names)}: {datasets}" for datasets, names in takes.items())


def listed(families: Sequence[Family]) -> Iterator[str]:
    """All groups and experiments, line by line."""
    for family in families:
        yield f"{family.name} (for {family.dataset})"
        for group in family.groups:
            yield f"  --group {group.name:16} {len(group.experiments):3} experiments: {group.why}"
        yield "    priority, experiment, group, seeds"
        for experiment in sorted(family.experiments, key=lambda e: e.priority):
            home, seeds = family.group_of(experiment.name), len(experiment.seeds)
            yield f"    {experiment.priority}  {experiment.name:26} {home:16} {seeds}  {experiment.why}"


def _require_usable(family: Family) -> None:
    """Raises ValueError, in one line, for a family without experiments, or whose configurations lack a field."""
    if not family.experiments:
        raise ValueError(f"{family.name} has no experiments")
    needed = ["seed", "save_dir", *["dataset"] * (len(family.all_datasets) > 1), *["data_dir"] * bool(family.locate)]
    for experiment in family.experiments:
        if not dataclasses.is_dataclass(experiment.config) or isinstance(experiment.config, type):
            raise ValueError(f"the configuration of {experiment.name} is no object of a dataclass")
        fields = {field.name for field in dataclasses.fields(experiment.config)}
        if lacking := [name for name in needed if name not in fields]:
            raise ValueError(f"the configuration of {experiment.name} has no field {lacking[0]}")


def _line_of(name: str, text: str) -> int:
    """The number of the line that assigns to a name, or 1 if no line visibly does."""
    lines = [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
    return lines[-1] if lines else 1
