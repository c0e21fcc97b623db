"""What the families of a results folder say of their results, from its families.json."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from json import loads
from pathlib import Path
from typing import TypeVar

import pandas as pd

from raysweep.experiment import Confounds, Declaration, ImpliedQuestions, Metric
from raysweep.ledger import read_declaration

T = TypeVar("T")


@cache
def undeclared() -> tuple[Declaration, ...]:
    """What is known of results whose folder does not say it: those of the authors' files, and of sweeps that ran before
    families were written down. It is what the families said when that began."""
    content = loads((Path(__file__).parent / "families_before.json").read_text(encoding="utf-8"))
    return tuple(read_declaration(entry) for entry in content)


def original() -> Declaration:
    """What is known of the results in the authors' files: they are those of our scattering networks."""
    (declaration,) = (declaration for declaration in undeclared() if "" in declaration.trainables)
    return replace(declaration, name="original", trainables=("",))


def completed(declared: Sequence[Declaration]) -> tuple[Declaration, ...]:
    """The declarations of a folder, and what is known besides of trainables that none of them is about."""
    covered = {trainable for declaration in declared for trainable in declaration.trainables}
    others = [replace(d, trainables=tuple(t for t in d.trainables if t not in covered)) for d in undeclared()]
    return (*declared, *(declaration for declaration in others if declaration.trainables))


@dataclass(frozen=True)
class Families:
    """Declarations as one: those about the runs in question, and all of the folder for what these do not say."""

    own: tuple[Declaration, ...]
    all: tuple[Declaration, ...]

    @classmethod
    def of(cls, rows: pd.DataFrame, declared: Sequence[Declaration]) -> "Families":
        """Those of runs, by their trainables; all where none of these is known."""
        known = {""} if "trainable" not in rows else set(rows["trainable"].fillna("").astype(str))
        own = tuple(declaration for declaration in declared if known & {*declaration.trainables})
        return cls(own=own or tuple(declared), all=tuple(declared))

    def declared(self, name: str) -> Metric | None:
        """The metric of this name; None where nobody has declared it."""
        known = (metric for declaration in (*self.own, *self.all) for metric in declaration.metrics)
        return next((metric for metric in known if metric.name == name), None)

    def metric(self, name: str) -> Metric:
        """The metric of this name; one without a unit where nobody has declared it.

        The mean over the last five epochs is read as the metric of the best one.
        """
        if known := self.declared(name):
            return known
        best = next((selected.metrics[0] for selected in self.confounds.selected if selected.last == name), None)
        return replace(self.metric(best), name=name) if best else Metric(name=name, unit="")

    @property
    def columns(self) -> list[str]:
        """What tables of results show, in order."""
        return _distinct(name for d in self.own for name in d.columns or [metric.name for metric in d.metrics])

    @property
    def confounds(self) -> Confounds:
        """What makes arms hard to compare."""
        parts = [declaration.confounds for declaration in self.own]
        return Confounds(
            conditions={name: spoken for part in parts for name, spoken in part.conditions.items()},
            in_force=tuple(_distinct(limit for part in parts for limit in part.in_force)),
            phases=tuple(_distinct(phase for part in parts for phase in part.phases)),
            selected=tuple(_distinct(selected for part in parts for selected in part.selected)),
        )

    @property
    def implied(self) -> list[ImpliedQuestions]:
        """What the runs are asked where no question was written down."""
        return _distinct(implied for declaration in self.own for implied in declaration.implied)


def _distinct(items: Iterable[T]) -> list[T]:
    found: list[T] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found
