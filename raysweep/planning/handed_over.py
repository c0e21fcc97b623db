"""Plans the commands that others leave in a results folder for the sweep that runs there (see `ledger.inbox`)."""

import contextlib
from collections.abc import Callable, Sequence

from raysweep.experiment import Family
from raysweep.ledger import Ledger, take_commands
from raysweep.messages import PlanError
from raysweep.planning.imported import enter_known
from raysweep.planning.options import Options, parse_options
from raysweep.planning.resources import Resources
from raysweep.planning.runs import PlannedRun
from raysweep.planning.selection import select_family
from raysweep.planning.spec import ParseValues, sweep_spec


class HandedOver:
    """Plans the commands that were handed over, and keeps the names of their runs."""

    def __init__(
        self,
        ledger: Ledger,
        resources: Resources,
        families_of: Callable[[Options], Sequence[Family]],
        parse_values: ParseValues,
    ) -> None:
        self._ledger, self._resources = ledger, resources
        self._families_of, self._parse_values = families_of, parse_values
        self.names: list[str] = []
        """The names of all runs handed over so far, whether they have a result or not."""
        self.unreadable: list[str] = []
        """A line for each command that lies there and cannot be read or taken."""

    def take(self) -> list[PlannedRun]:
        """The runs, without those already settled, of the commands that were handed over since the last call."""
        runs: list[PlannedRun] = []
        taken = take_commands(self._ledger)
        for line in taken.unreadable:
            if line not in self.unreadable:
                print(f"handed over and left there: {line}", flush=True)
        self.unreadable = taken.unreadable
        for argv, folder in taken.commands:
            try:
                with contextlib.chdir(folder):
                    planned = self._plan(argv)
                settled = self._ledger.settled()
            except (PlanError, OSError) as error:
                print(f"handed over and refused: {error}", flush=True)
                continue
            self.names += [run.name for run in planned]
            runs += [run for run in planned if run.name not in settled]
        return runs

    def _plan(self, argv: Sequence[str]) -> list[PlannedRun]:
        """Plan a command, and write down its runs and questions. Raises PlanError for a run that is impossible."""
        options = parse_options(argv)
        family = select_family(self._families_of(options), options.group, options.only)
        spec = sweep_spec(options, family, self._parse_values)
        runs = spec.plan(self._ledger, self._resources)
        records = [run.record() for run in runs]
        enter_known(self._ledger, records, imported=options.accept_imported)
        spec.write_plan(self._ledger, records, joining=True)
        return runs
