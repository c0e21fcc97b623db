"""Carries out one sweep command, from its options to recorded results."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from raysweep.cache import cache_folder
from raysweep.experiment import Family
from raysweep.forecasts import forecasts, machine_of, past_error, show_plan, with_predictions
from raysweep.ledger import SETTLED, Ledger, Record, hold_or_offer, open_ledger
from raysweep.live import Status, choose_view
from raysweep.messages import PlanError
from raysweep.planning import (
    HandedOver,
    NextStep,
    Options,
    ParseValues,
    PlannedRun,
    Resources,
    Rules,
    SweepSpec,
    alike,
    describe_changes,
    enter_known,
    families_of,
    local_resources,
    matching,
    search_rounds,
    select_family,
    shell_commands,
    sweep_spec,
)
from raysweep.running import (
    ClusterPlacement,
    LocalPlacement,
    Placement,
    concurrent_trials,
    notice_interrupts,
    own_cluster,
    require_environment,
    running_cluster,
    where_the_token_is,
)
from raysweep.tracking import Destination, reach

Expected = Mapping[str, tuple[float, float, float]]
"""The seconds that each run is expected to take, by its name, with a lower and an upper bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """Functions that the entry point passes in, since raysweep imports no family, trainable or analysis by name."""

    families: Callable[[], Sequence[Family]]
    """Returns the families of the project."""
    parse_values: ParseValues
    """Reads the values of --set and --grid."""
    next_step: NextStep
    """Returns what a search runs next."""
    print_answers: Callable[[str, Sequence[str]], None]
    """Prints the answers that the named runs of the results at a location give."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """The objects that all steps of one command work with."""

    spec: SweepSpec
    ledger: Ledger
    resources: Resources
    destinations: Sequence[Destination] = ()
    """Where --track sends measurements."""


def sweep(options: Options, argv: Sequence[str], hooks: Hooks) -> int:
    """Plan, run what is not done yet, print the answers. Returns the exit code.

    `argv` is the command itself, for the sweep that it may be handed over to. Raises PlanError and LedgerError, in a
    line, before anything starts.
    """
    family = select_family(families_of(options, hooks.families), options.group, options.only)
    with contextlib.ExitStack() as stack:
        if options.plan or options.print_commands:  # for machines that may have other data and devices
            stack.enter_context(family.elsewhere())
        else:
            require_environment(own_cluster=not options.address)
        spec = sweep_spec(options, family, hooks.parse_values)
        resources = _resources(options, stack)
        ledger = open_ledger(options.results)
        setup = Setup(spec=spec, ledger=ledger, resources=resources, destinations=reach(options.track))
        runs = spec.plan(ledger, resources)
        if options.print_commands:
            _print_commands(spec, runs)
            return 0
        if options.plan:
            show_plan(spec, runs, ledger, resources)
            return 0
        if not options.preempt:
            stack.enter_context(ledger.store.locked())
        elif hold_or_offer(ledger, stack, argv):
            return 0
        _forget(setup, runs)
        print(spec.data)
        plans = search_rounds(spec, runs, ledger, resources, hooks.next_step) if spec.question else iter([runs])
        handed_over = HandedOver(ledger, resources, lambda o: families_of(o, hooks.families), hooks.parse_values)
        names, interrupted = run(setup, plans, handed_over)
        hooks.print_answers(ledger.location, names)
        ledger.write_frame()
        return 130 if interrupted else int(bool(set(names) - ledger.finished()))


def run(setup: Setup, plans: Iterator[list[PlannedRun]], handed_over: HandedOver) -> tuple[list[str], bool]:
    """Run what is not finished, one plan after the other, and what is handed over meanwhile.

    Returns the names of all runs, and whether the user has interrupted them.
    """
    ledger = setup.ledger
    names: dict[str, None] = {}
    interrupted = False
    with contextlib.ExitStack() as stack:
        launcher: _Launcher | None = None
        for runs in plans:
            names |= dict.fromkeys(run.name for run in runs)
            for file in ledger.set_aside():
                print(f"damaged record, its run is done again: {file}")
            before = list(ledger.records())
            runs, expected = _foresee(setup, runs, before)
            planned = [run.record() for run in runs]
            todo = _to_do(setup, runs, planned, before)
            try:
                if todo:
                    launcher = launcher or stack.enter_context(_launcher(setup, runs, handed_over))
                setup.spec.write_plan(ledger, planned)  # not before Ray has started, which may fail
                if todo and launcher:
                    launcher.launch(todo, runs, expected)
            except KeyboardInterrupt:
                interrupted = True
                print("interrupted; the same command goes on from the last checkpoints")
                break
            finally:
                ledger.adopt(planned)
    names |= dict.fromkeys(handed_over.names)
    return list(names), interrupted


def _resources(options: Options, stack: contextlib.ExitStack) -> Resources:
    """The CPUs and GPUs of the sweep; within `stack`, this process is connected to the cluster of --address."""
    use_gpus = options.gpus_per_worker != 0
    if options.address:
        return stack.enter_context(running_cluster(options.address, use_gpus=use_gpus))
    if options.print_commands:  # each experiment's own number of workers
        return Resources(cpus=sys.maxsize, gpus=sys.maxsize)
    return local_resources(use_gpus=use_gpus, slots=options.slots)


def _print_commands(spec: SweepSpec, runs: Sequence[PlannedRun]) -> None:
    """Print the runs as commands for a shell. Raises PlanError for a search."""
    if spec.question:
        name = spec.options.group[0]
        raise PlanError(f"{name} is a search: which runs it does follows from results, so it has no commands")
    print(*shell_commands(runs), sep="\n")


def _foresee(setup: Setup, runs: Sequence[PlannedRun], records: Sequence[Record]) -> tuple[list[PlannedRun], Expected]:
    """The runs with their forecasts, for their records, and the expected seconds by the runs' names."""
    machine = machine_of(setup.resources, setup.spec.options.gpus_per_worker, cache_folder())
    error = past_error(records)
    known = forecasts(runs, records, machine.share_of, machine.cache, error=error.spread if error else 0.0)
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
    done = sum(run.name in settled for run in runs)
    print(
        f"{len(runs)} run{'s' * (len(runs) != 1)} of {spec.family.name}, {done} finished before, {len(todo)} "
        f"to do on {setup.resources}; results in {ledger.location}"
    )
    if before and not spec.question:
        for line in describe_changes(runs, before):
            print(f"  {line}")
    return todo


def _forget(setup: Setup, runs: Sequence[PlannedRun]) -> None:
    """Remove the results of the experiments of --redo; of a search, at all values."""
    again = matching([planned.experiment.name for planned in runs], setup.spec.options.redo)
    search = setup.spec.question.search if setup.spec.question else None
    records = list(setup.ledger.records()) if again else []
    for planned in runs:
        if planned.experiment.name in again:
            for record in alike(planned, (search.over, "seed") if search else (), records):
                setup.ledger.remove(record["run"])


class _Launcher:
    """Launches plans one after the other on the same cluster, until the budget is used up."""

    def __init__(self, ledger: Ledger, placement: Placement, rules: Rules, status: Status) -> None:
        self._ledger, self._placement, self._rules, self._status = ledger, placement, rules, status

    def launch(self, todo: list[PlannedRun], planned: Sequence[PlannedRun], expected: Expected) -> None:
        """Run the runs `todo` of those planned. Raises KeyboardInterrupt if the user has interrupted them."""
        from raysweep.running import launch

        done = {record["run"]: record for record in self._ledger.records() if record["status"] in SETTLED}
        self._status.expect(expected)
        self._status.add([run for run in planned if run.name in done or run in todo], done)
        used = launch(todo, self._ledger, self._placement, self._rules, self._status)
        self._rules = replace(self._rules, slot_seconds=self._rules.slot_seconds - used)


@contextlib.contextmanager
def _launcher(setup: Setup, runs: list[PlannedRun], handed_over: HandedOver) -> Iterator[_Launcher]:
    """Yield a launcher of runs on the cluster of --address, or on one of our own that ends with this context."""
    options, started = setup.spec.options, time.monotonic()
    hours, of_gpus = options.budget_hours or (math.inf, False)
    with contextlib.ExitStack() as stack:
        placement: Placement
        if options.address:
            max_concurrent = concurrent_trials(runs, setup.resources, options.gpus_per_worker)
            placement = ClusterPlacement(setup.resources, options.gpus_per_worker, max_concurrent)
        else:
            placement = LocalPlacement(setup.ledger, setup.resources, options.gpus_per_worker)
            dashboard = stack.enter_context(own_cluster(setup.resources))
            print(f"Ray dashboard: http://{dashboard} ({where_the_token_is()})")
        from raysweep.tracking import Gauges, Tracking  # once Ray is there

        gauges, tracking = Gauges(), Tracking.of(setup.ledger, setup.destinations)
        stack.callback(tracking.close)
        rules = Rules(
            followers=(gauges, tracking),
            counted=gauges.runs,
            backfill=options.backfill,
            deadline=math.inf if of_gpus else started + 3600 * hours,
            slot_seconds=3600 * hours if of_gpus else math.inf,
            incoming=handed_over.take,
            interrupted=notice_interrupts(),
        )
        status = Status(setup.ledger, choose_view(), slots=placement.slots, slots_of=placement.slots_of)
        status.start()
        stack.callback(status.close)
        yield _Launcher(setup.ledger, placement, rules, status)
