"""Plans the commands that others leave in a results folder for the sweep that runs there (see `ledger.inbox`)."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence

from raysweep.experiment import Family
from raysweep.ledger import Code, Ledger, LedgerError, Offer, answer, offers
from raysweep.messages import PlanError
from raysweep.planning.handed_over_rounds import HandedOverRounds, MakeRounds
from raysweep.planning.imported import enter_known
from raysweep.planning.options import Options, parse_options
from raysweep.planning.resources import Resources
from raysweep.planning.runs import PlannedRun
from raysweep.planning.selection import select_family
from raysweep.planning.spec import ParseValues, SweepSpec, sweep_spec


class HandedOver:
    """Plans the commands that were handed over, and keeps the names of their runs."""

    def __init__(
        self,
        ledger: Ledger,
        resources: Resources,
        families_of: Callable[[Options], Sequence[Family]],
        parse_values: ParseValues,
        keep: Callable[[str | None], Code],
        until_answered: MakeRounds | None = None,
    ) -> None:
        """`keep` makes the copy of the code from which the runs of a command, with its --space, are imported.

        `until_answered` makes the rounds of a command that goes on until its questions are answered.
        """
        self._keep, self._until_answered = keep, until_answered
        self._going_on: list[HandedOverRounds] = []
        """The commands whose rounds are not over."""
        self._ledger, self._resources = ledger, resources
        self._families_of, self._parse_values = families_of, parse_values
        self.names: list[str] = []
        """The names of all runs handed over so far, whether they have a result or not."""
        self.unreadable: list[str] = []
        """A line for each command that lies there and cannot be read or taken."""
        self._untaken: dict[str, str] = {}
        """Of these, the lines about commands that cannot be taken, by their names."""

    def take(self) -> list[PlannedRun]:
        """The runs, without those already settled, of the commands that were handed over since the last call.

        Those who handed them over are told what was refused, and why.
        """
        runs: list[PlannedRun] = []
        waiting, unreadable = offers(self._ledger)
        for line in unreadable:
            if line not in self.unreadable:
                print(f"handed over and left there: {line}", flush=True)
        self.unreadable = [*unreadable, *self._untaken.values()]
        for offered in waiting:
            if offered.name in self._untaken:
                continue
            try:
                with contextlib.chdir(offered.folder):
                    planned = self._plan(offered)
                settled = self._ledger.settled()
            except (PlanError, OSError) as error:
                print(f"handed over and refused: {error}", flush=True)
                self._answer(offered, str(error))
                continue
            if not self._answer(offered):
                continue
            runs += self._to_do(planned, settled)
        return [*runs, *self._next_rounds()]

    def rounds_left(self) -> Iterator[tuple[SweepSpec, list[PlannedRun]]]:
        """Yield the further rounds of the commands whose rounds are not over, once nothing else is to do."""
        while self._going_on:
            going_on = self._going_on.pop(0)
            for runs in going_on.rest():
                yield going_on.spec, runs

    def _to_do(self, planned: Sequence[PlannedRun], settled: Collection[str]) -> list[PlannedRun]:
        self.names += [run.name for run in planned]
        return [run for run in planned if run.name not in settled]

    def _next_rounds(self) -> list[PlannedRun]:
        """The runs of the rounds whose turn it is, as all runs of the round before have ended."""
        runs: list[PlannedRun] = []
        for going_on in [one for one in self._going_on if one.has_ended(self._ledger)]:
            try:
                planned = going_on.next()
                if planned is None:
                    self._going_on.remove(going_on)
                    continue
                going_on.waits_for(self._ledger, planned)
                self._write_plan(going_on.spec, planned)
                runs += self._to_do(planned, self._ledger.settled())
            except (PlanError, LedgerError, OSError) as error:
                print(f"handed over and given up: {error}", flush=True)
                self._going_on.remove(going_on)
        return runs

    def _answer(self, offered: Offer, refusal: str = "") -> bool:
        """Take or refuse an offer. Returns whether that was possible; what cannot be taken is not done."""
        try:
            answer(self._ledger.store, offered, refusal=refusal)
        except OSError as error:
            self._untaken[offered.name] = str(error)
            self.unreadable.append(str(error))
            print(f"handed over and left there: {error}", flush=True)
            return False
        return True

    def _plan(self, offered: Offer) -> list[PlannedRun]:
        """Plan a command, and write down its runs and questions.

        Raises PlanError for a run that is impossible, and for a command that was planned by other code.
        """
        options = parse_options(offered.argv)
        family = select_family(self._families_of(options), options.group, options.only)
        spec = sweep_spec(options, family, self._parse_values)
        code = self._keep(options.space)
        if code.hash != offered.code:
            raise PlanError(
                f"its code is {code.hash}, this command's is {offered.code or 'not known'}; wait for its end, or name "
                "other --results"
            )
        runs = spec.plan(self._ledger, self._resources)
        if options.until_answered and self._until_answered:
            going_on = HandedOverRounds(spec, code, self._until_answered(spec, runs, offered.argv).rounds())
            self._going_on.append(going_on)
            runs = going_on.next() or []
            going_on.waits_for(self._ledger, runs)
        runs = [dataclasses.replace(run, code=code) for run in runs]
        self._write_plan(spec, runs)
        return runs

    def _write_plan(self, spec: SweepSpec, runs: Sequence[PlannedRun]) -> None:
        records = [run.record() for run in runs]
        enter_known(self._ledger, records, imported=spec.options.accept_imported)
        spec.write_plan(self._ledger, records, joining=True)
