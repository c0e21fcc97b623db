"""In what two arms, or two runs, differ: the fields whose values are not the same, and the results by their means."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.comparison.runs import metric_of, values_of, without_effect
from analysis.numbers import is_missing

PROVENANCE = (
    *("revision", "patch", "code", "hostname", "machine", "device", "device_name", "imported"),
    *("python_version", "torch_version", "torchvision_version", "ray_version", "numpy_version"),
)
"""Columns that say with what a run was made."""

OF_THE_RUN = ("dataset", "data", "prepared", "group", "set", "num_workers", "numerics", "trainable", "status")
"""Columns that say what was run, beside its configuration."""

NEVER_SHOWN = (
    *("run", "key", "experiment", "seed", "curves", "no_effect", "trial", "same_as", "selection", "why", "label"),
    *(
        "kind",
        "error",
        "attempt",
        "restarts",
        "started",
        "finished",
        "priority",
        "predictions",
        "facts",
        "block_summary",
    ),
)
"""Columns that name a run or tell its story."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A field in which two sets of runs differ."""

    name: str
    part: str
    """"configuration", "results" or "provenance"."""
    one: Any
    """The value, or the values as a text where there are several; of a result that is a number its mean."""
    other: Any
    change: float | None = None
    """Of a result, the other's mean less the one's."""
    has_effect: bool = True
    """Whether the field can have changed the numbers of the runs."""


def differences(one: pd.DataFrame, other: pd.DataFrame, config: Iterable[str]) -> list[Difference]:
    """What two sets of runs differ in: the configuration first, then results, then provenance; fields that are alike
    are left out. `config` names the columns that are fields of configurations."""
    fields = set(config)
    cosmetic = without_effect(pd.concat([one, other]))
    parts: dict[str, list[Difference]] = {"configuration": [], "results": [], "provenance": []}
    for name in dict.fromkeys([*one.columns, *other.columns]):
        if name in NEVER_SHOWN:
            continue
        part = part_of(name, fields)
        found = _numbers(name, one, other) if part == "results" else None
        found = found or _values(name, part, one, other, name not in cosmetic)
        parts[part] += filter(None, [found])
    ordered = [*sorted(parts["configuration"], key=lambda d: not d.has_effect), *parts["results"], *parts["provenance"]]
    return [d for d in ordered if d.one != d.other]


def part_of(name: str, config: set[str]) -> str:
    """To which part of a record a column of the frame of runs belongs."""
    if name in config or name in OF_THE_RUN:
        return "configuration"
    return "provenance" if name in PROVENANCE else "results"


def _numbers(name: str, one: pd.DataFrame, other: pd.DataFrame) -> Difference | None:
    sides = [metric_of(side, name) for side in (one, other)]
    if any(side.empty for side in sides):
        return None
    first, second = (float(side.mean()) for side in sides)
    return Difference(name=name, part="results", one=first, other=second, change=second - first)


def _values(name: str, part: str, one: pd.DataFrame, other: pd.DataFrame, has_effect: bool) -> Difference | None:
    first, second = (_spoken(side, name) for side in (one, other))
    return Difference(name=name, part=part, one=first, other=second, has_effect=has_effect)


def _spoken(rows: pd.DataFrame, name: str) -> Any:
    """The one value of a column, or all of them as a text; None where it is missing."""
    values = list(_listed(rows, name))
    return values[0] if len(values) == 1 else ", ".join(map(str, values)) or None


def _listed(rows: pd.DataFrame, name: str) -> Iterator[Any]:
    if name in rows:
        yield from (None if is_missing(value) else value for value in values_of(rows, name))
