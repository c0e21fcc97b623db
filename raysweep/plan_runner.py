"""Carries out the plans of one command: what is foreseen and printed before each, and the launcher of their runs."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from raysweep.cache import cache_folder
from raysweep.forecasts import forecasts, machine_of, past_spread, with_predictions
from raysweep.ledger import SETTLED, Code, Ledger, Record
from raysweep.live import LiveReport, Status, choose_view
from raysweep.planning import (
    Budget,
    HandedOver,
    PlannedRun,
    Resources,
    Rules,
    SweepSpec,
    describe_changes,
    enter_known,
    made_by_other_code,
)
from raysweep.running import (
    ClusterPlacement,
    Interrupts,
    LocalPlacement,
    Placement,
    RayLostError,
    concurrent_trials,
    own_cluster,
    where_the_token_is,
)
from raysweep.tracking import Destination

Expected = Mapping[str, tuple[float, float, float]]
"""The seconds that each run is expected to take, by its name, with a lower and an upper bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """The objects that all steps of one command work with."""

    spec: SweepSpec
    ledger: Ledger
    resources: Resources
    destinations: Sequence[Destination]
    """Where --track sends measurements."""
    interrupts: Interrupts
    """The signals that ask this command to end."""
    budget: Budget
    """What is left of --budget-hours."""
    report: LiveReport
    """What keeps report.html up to date."""
    code: Code | None = None
    """The copy of the code from which the processes of the sweep import."""


def carry_out(
    setup: Setup, plans: Iterator[list[PlannedRun]], handed_over: HandedOver
) -> tuple[list[str], RayLostError | None]:
    """Run what is not finished, one plan after the other, and what is handed over meanwhile.

    Returns the names of all runs, and the error by which it has ended where Ray was lost.
    """
    names: dict[str, None] = {}
    lost = None
    try:
        with contextlib.ExitStack() as stack:
            _run_plans(setup, plans, handed_over, names, stack)
    except KeyboardInterrupt:
        setup.interrupts.has_come()
    except RayLostError as error:
        lost = error
    if setup.interrupts:
        print("interrupted; the same command goes on from the last checkpoints")
    names |= dict.fromkeys(handed_over.names)
    return list(names), lost


def _run_plans(
    setup: Setup,
    plans: Iterator[list[PlannedRun]],
    handed_over: HandedOver,
    names: dict[str, None],
    stack: contextlib.ExitStack,
) -> None:
    """Run plans, add the names of their runs to `names`, and leave what they need, once it is started, to `stack`."""
    ledger = setup.ledger
    launcher: Launcher | None = None
    for spec, runs in itertools.chain(((setup.spec, runs) for runs in plans), handed_over.rounds_left()):
        names |= dict.fromkeys(run.name for run in runs)
        for file in ledger.set_aside():
            print(f"damaged record, its run is done again: {file}")
        before = list(ledger.records())
        runs, expected = _foresee(setup, [replace(run, code=run.code or setup.code) for run in runs], before)
        planned = [run.record() for run in runs]
        todo = _to_do(replace(setup, spec=spec), runs, planned, before)
        try:
            if todo:
                launcher = launcher or stack.enter_context(_launcher(setup, runs, handed_over))
            spec.write_plan(ledger, planned, joining=spec is not setup.spec)  # once Ray has started, which may fail
            if todo and launcher:
                launcher.launch(todo, runs, expected)
        finally:
            ledger.adopt(planned)


def _foresee(setup: Setup, runs: Sequence[PlannedRun], records: Sequence[Record]) -> tuple[list[PlannedRun], Expected]:
    """The runs with their forecasts, for their records, and the expected seconds by the runs' names."""
    machine = machine_of(setup.resources, setup.spec.options.gpus_per_worker, cache_folder())
    known = forecasts(runs, records, machine.share_of, machine.cache, error=past_spread(records))
    expected = {
        run.name: (forecast.seconds, forecast.low, forecast.high)
        for run, forecast in zip(runs, known, strict=True)
        if forecast.seconds is not None and forecast.low is not None and forecast.high is not None
    }
    return with_predictions(runs, known), expected


def _to_do(
    setup: Setup, runs: Sequence[PlannedRun], planned: Sequence[Record], before: Sequence[Record]
) -> list[PlannedRun]:
    """The runs that are not settled, each once. Prints what has changed against the records of `before`."""
    ledger, spec = setup.ledger, setup.spec
    enter_known(ledger, planned, imported=spec.options.accept_imported)
    settled = ledger.settled()
    first = {run.key: run for run in reversed(runs)}  # the first one, where several experiments make the same run
    todo = [run for run in runs if run.name not in settled and run is first[run.key]]
    for run in todo:
        ledger.runs.require_readable(run.name, to_start=True)
    done = sum(run.name in settled for run in runs)
    print(
        f"{len(runs)} run{'s' * (len(runs) != 1)} of {spec.family.name}, {done} finished before, {len(todo)} "
        f"to do on {setup.resources}; results in {ledger.location}"
    )
    if before and not spec.by_rounds:
        for line in describe_changes(runs, before):
            print(f"  {line}")
    if setup.code and (line := made_by_other_code(runs, before, setup.code)):
        print(f"  {line}")
    return todo


class Launcher:
    """Launches plans one after the other on the same cluster, until the budget is used up."""

    def __init__(
        self, ledger: Ledger, placement: Placement, rules: Rules, status: Status, budget: Budget | None = None
    ) -> None:
        self._ledger, self._placement, self._rules, self._status = ledger, placement, rules, status
        self._budget = budget

    def launch(self, todo: list[PlannedRun], planned: Sequence[PlannedRun], expected: Expected) -> None:
        """Run the runs `todo` of those planned. Raises KeyboardInterrupt if the user has interrupted them.

        Raises RayLostError where Ray was lost.
        """
        from raysweep.running import launch

        done = {record["run"]: record for record in self._ledger.records() if record["status"] in SETTLED}
        self._status.expect(expected)
        self._status.add([run for run in planned if run.name in done or run in todo], done)
        try:
            used = launch(todo, self._ledger, self._placement, self._rules, self._status)
        except RayLostError:
            self._status.ends_early("Ray was lost")
            raise
        self._rules = replace(self._rules, slot_seconds=self._rules.slot_seconds - used)
        if self._budget:
            self._budget.spend(used)


@contextlib.contextmanager
def _launcher(setup: Setup, runs: list[PlannedRun], handed_over: HandedOver) -> Iterator[Launcher]:
    """Yield a launcher of runs on the cluster of --address, or on one of our own that ends with this context."""
    options = setup.spec.options
    with contextlib.ExitStack() as stack:
        placement: Placement
        if options.address:
            max_concurrent = concurrent_trials(runs, setup.resources, options.gpus_per_worker)
            placement = ClusterPlacement(setup.resources, options.gpus_per_worker, max_concurrent)
        else:
            placement = LocalPlacement(setup.ledger, setup.resources, options.gpus_per_worker)
            with setup.interrupts.deferred("the sweep stops once Ray has started"):
                dashboard = stack.enter_context(own_cluster(setup.resources))
            print(f"Ray dashboard: http://{dashboard} ({where_the_token_is()})")
        from raysweep.tracking import Gauges, Tracking  # once Ray is there

        gauges, tracking = Gauges(), Tracking.of(setup.ledger, setup.destinations)
        stack.push(lambda kind, *_: tracking.close(without_ray=kind is RayLostError))
        rules = Rules(
            followers=(gauges, tracking, setup.report),
            counted=gauges.runs,
            backfill=options.backfill,
            deadline=setup.budget.deadline,
            slot_seconds=setup.budget.slot_seconds,
            incoming=handed_over.take,
            interrupted=lambda: bool(setup.interrupts),
        )
        status = Status(setup.ledger, choose_view(), slots=placement.slots, slots_of=placement.slots_of)
        status.start()
        stack.callback(status.close)
        stack.enter_context(setup.report.refreshed())
        stack.enter_context(setup.interrupts.noticed("running trials write their checkpoints and stop"))
        yield Launcher(setup.ledger, placement, rules, status, setup.budget)
