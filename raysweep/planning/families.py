"""Finds the families that a command can name: those of the project, or the one in the file of --space."""

import ast
import dataclasses
import textwrap
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size

from raysweep.experiment import Family, Group
from raysweep.messages import PlanError, nearest
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


def listed(families: Sequence[Family], groups: Sequence[str] = (), width: int | None = None) -> Iterator[str]:
    """All groups and experiments, or the named groups and their experiments, line by line.

    Lines have at most `width` characters, without it as many as the terminal has. Raises PlanError for an unknown
    group.
    """
    width = width or get_terminal_size().columns
    known = [group.name for family in families for group in family.groups]
    for name in groups:
        if name not in known:
            raise PlanError(f"unknown group {name!r}{nearest(name, known)}")
    for family in families:
        shown = [group for group in family.groups if not groups or group.name in groups]
        if shown:
            yield f"{family.name} (for {family.dataset})"
            yield from _listed_groups(shown, width)
            members = {name for group in shown for name in group.experiments}
            yield from _listed_experiments(family, members, width)


def _listed_groups(groups: Sequence[Group], width: int) -> Iterator[str]:
    longest = max(len(group.name) for group in groups)
    for group in groups:
        n = f"{len(group.experiments):3} experiment{'s' * (len(group.experiments) != 1)}{':' * bool(group.why)}"
        yield from _with_reason(f"  --group {group.name:{longest}} {n:16} ", group.why, width)


def _listed_experiments(family: Family, members: Container[str], width: int) -> Iterator[str]:
    """A heading, then the experiments by priority, with what each is for."""
    shown = sorted((e for e in family.experiments if e.name in members), key=lambda e: e.priority)
    homes = [family.group_of(e.name) for e in shown]
    several = len(set(homes)) > 1
    rows = [("prio", "experiment", *["group"] * several, "seeds")]
    rows += [
        (str(e.priority), e.name, *[home] * several, str(len(e.seeds))) for e, home in zip(shown, homes, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for (priority, *names, seeds), why in zip(rows, ["", *(e.why for e in shown)], strict=True):
        own = " ".join(f"{name:{longest}}" for name, longest in zip(names, widths[1:], strict=False))
        yield from _with_reason(f"  {priority:>{widths[0]}} {own} {seeds:>{widths[-1]}}  ", why, width)


def _with_reason(before: str, why: str, width: int) -> Iterator[str]:
    """A line with a reason at its end; what does not fit stands below it, or all of it where there is little room."""
    room = width - len(before)
    below = width - len(BELOW)
    lines = textwrap.wrap(why, room if room >= LEAST_ROOM else max(below, 1))
    if room < LEAST_ROOM:
        yield before.rstrip()
        yield from (f"{BELOW}{line}" for line in lines)
        return
    yield f"{before}{lines[0] if lines else ''}".rstrip()
    yield from (f"{' ' * len(before)}{line}" for line in lines[1:])


BELOW, LEAST_ROOM = " " * 10, 24
"""What stands before a reason in a line of its own, and the fewest characters that a reason needs beside a name."""


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
