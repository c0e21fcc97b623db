"""The runs beside a run: the same experiment with other seeds, and experiments that differ in one field alone."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.comparison.runs import varied_fields
from analysis.numbers import is_missing
from analysis.ordering import natural
from analysis.reading.results import Setting

Point = tuple[Hashable, ...]
"""The values of the fields that vary in a setting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbour:
    """An experiment that differs from another in one field."""

    field: str
    value: Any
    """Its own value of the field."""
    experiment: str


@dataclass(kw_only=True)
class Neighbours:
    """Who stands beside whom in a setting."""

    fields: list[str]
    """The fields with an effect that vary in the setting."""
    points: Mapping[str, Point]
    """Of each experiment the values of these fields."""
    runs: Mapping[str, pd.DataFrame]
    """The runs of each experiment."""
    _along: dict[tuple[int, Point], list[str]] = field(default_factory=dict)
    """The experiments that agree in all fields but one."""

    @classmethod
    def of(cls, setting: Setting) -> "Neighbours":
        """Arranges the finished runs of a setting."""
        fields = varied_fields(setting.runs, setting) if len(setting.runs) else []
        runs = {str(name): rows for name, rows in setting.runs.groupby("experiment", sort=False)}
        firsts = {name: rows.iloc[0] for name, rows in runs.items()}
        points = {name: tuple(_hashable(first[field]) for field in fields) for name, first in firsts.items()}
        found = cls(fields=fields, points=points, runs=runs)
        for name, point in points.items():
            for i in range(len(fields)):
                found._along.setdefault((i, _without(point, i)), []).append(name)
        return found

    def beside(self, experiment: str) -> Iterator[Neighbour]:
        """The experiments that differ from this one in one field, field by field, by rising value."""
        point = self.points.get(experiment, ())
        for i, name in enumerate(self.fields if point else ()):
            others = [other for other in self._along[i, _without(point, i)] if self.points[other][i] != point[i]]
            for other in sorted(others, key=lambda other: _order(self.points[other][i])):
                yield Neighbour(field=name, value=self.points[other][i], experiment=other)


def _without(point: Point, i: int) -> Point:
    return (*point[:i], *point[i + 1 :])


def _order(value: Hashable) -> tuple[Any, ...]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, value)
    return (1, natural(str(value)))


def _hashable(value: Any) -> Hashable:
    if is_missing(value):
        return None
    known: Hashable = value if isinstance(value, Hashable) else repr(value)
    return known
