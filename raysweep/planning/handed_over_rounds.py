"""The rounds of a command that was handed over and goes on until its questions are answered."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from raysweep.ledger import SETTLED, Code, Ledger, Record
from raysweep.planning.runs import PlannedRun
from raysweep.planning.spec import SweepSpec
from raysweep.planning.until_answered import UntilAnswered

MakeRounds = Callable[[SweepSpec, Sequence[PlannedRun], Sequence[str]], UntilAnswered]
"""Gets what a command asks for, its runs, and its words."""

LOOK_EVERY = 2.0
"""Seconds between two looks whether a round has ended."""


class HandedOverRounds:
    """Plans the next round when all runs of one have ended."""

    def __init__(self, spec: SweepSpec, code: Code, rounds: Iterator[list[PlannedRun]]) -> None:
        """`code` is the copy from which the runs are imported."""
        self.spec = spec
        self._code, self._rounds = code, rounds
        self._before: dict[str, Record | None] = {}
        """The runs of the round that have to end, with the record that each had before."""
        self._looked = 0.0

    def next(self) -> list[PlannedRun] | None:
        """The plan of the next round; None where there is none."""
        runs = next(self._rounds, None)
        return None if runs is None else [replace(run, code=self._code) for run in runs]

    def rest(self) -> Iterator[list[PlannedRun]]:
        """Yield the plans of all further rounds."""
        while (runs := self.next()) is not None:
            yield runs

    def waits_for(self, ledger: Ledger, runs: Sequence[PlannedRun]) -> None:
        """Note the runs of the present round, before they start."""
        records = {run.name: ledger.record(run.name) for run in runs}
        self._before = {name: one for name, one in records.items() if one is None or one["status"] not in SETTLED}

    def has_ended(self, ledger: Ledger) -> bool:
        """Whether all of them have a new record. It is looked at now and then."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return False
        self._looked = now
        return all(ledger.record(name) not in (None, before) for name, before in self._before.items())
