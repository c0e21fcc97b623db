"""Carries out one sweep command, from its options to recorded results."""

import contextlib
import functools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raysweep.cache import cache_folder
from raysweep.experiment import Family
from raysweep.forecasts import forecasts, machine_of, past_error, show_plan, with_predictions
from raysweep.ledger import (
    SETTLED,
    SPACE,
    Code,
    Ledger,
    Record,
    hash_of_code,
    hold_or_offer,
    keep_code,
    open_ledger,
    require_readable,
)
from raysweep.live import Status, choose_view, outlived_output
from raysweep.messages import PlanError, as_text
from raysweep.modules import importing_from
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
    bring_back,
    describe_changes,
    enter_known,
    families_of,
    local_resources,
    made_by_other_code,
    run_by_its_own_code,
    search_rounds,
    select_family,
    shell_commands,
    sweep_spec,
    to_redo,
)
from raysweep.running import (
    ClusterPlacement,
    Interrupts,
    LocalPlacement,
    Placement,
    RayLostError,
    concurrent_trials,
    own_cluster,
    require_environment,
    require_open_files,
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
    destinations: Sequence[Destination]
    """Where --track sends measurements."""
    interrupts: Interrupts
    """The signals that ask this command to end."""
    code: Code | None = None
    """The copy of the code from which the processes of the sweep import."""


def sweep(options: Options, argv: Sequence[str], hooks: Hooks) -> int:
    """Plan, run what is not done yet, print the answers. Returns the exit code.

    `argv` is the command itself, for the sweep that it may be handed over to. Raises PlanError, LedgerError and
    UnreadableError, in a line, before anything starts, and RayLostError, after the answers so far.
    """
    if options.code:
        bring_back(open_ledger(options.results), *options.code)
        return 0
    with Interrupts() as interrupts:
        try:
            return _sweep(options, argv, hooks, interrupts)
        except KeyboardInterrupt:
            return interrupts.exit_code


def _sweep(options: Options, argv: Sequence[str], hooks: Hooks, interrupts: Interrupts) -> int:
    family = select_family(families_of(options, hooks.families), options.group, options.only)
    with contextlib.ExitStack() as stack:
        if options.plan or options.print_commands:  # for machines that may have other data and devices
            stack.enter_context(family.elsewhere())
        else:
            _require_text(argv)
            require_environment(own_cluster=not options.address)
            require_open_files()
            stack.enter_context(outlived_output())
        spec = sweep_spec(options, family, hooks.parse_values)
        resources = _resources(options, stack)
        ledger = open_ledger(options.results)
        destinations = reach(options.track)
        setup = Setup(spec=spec, ledger=ledger, resources=resources, destinations=destinations, interrupts=interrupts)
        runs = spec.plan(ledger, resources)
        if options.print_commands:
            _print_commands(spec, runs)
            return 0
        if options.plan:
            show_plan(spec, runs, ledger, resources)
            return 0
        if options.with_its_own_code:
            run_by_its_own_code(ledger, to_redo(runs, options.redo), options, argv)
        require_readable(ledger)
        if not options.preempt:
            stack.enter_context(ledger.store.locked())
        elif hold_or_offer(ledger, stack, argv, lambda: hash_of_code(options.space)):
            return 0
        _forget(setup, runs)
        print(spec.data)
        keep = functools.partial(_keep_code, setup, stack)
        setup = replace(setup, code=keep(options.space))
        plans = search_rounds(spec, runs, ledger, resources, hooks.next_step) if spec.question else iter([runs])
        handed_over = HandedOver(ledger, resources, lambda o: families_of(o, hooks.families), hooks.parse_values, keep)
        names, lost = run(setup, plans, handed_over)
        hooks.print_answers(ledger.location, names)
        ledger.write_frame()
        if interrupts:
            return interrupts.exit_code
        if lost:
            raise lost
        return int(bool(set(names) - ledger.finished() or handed_over.unreadable))


def _keep_code(setup: Setup, stack: contextlib.ExitStack, space: str | None) -> Code:
    """Keep a copy of the code of a command with this --space, from which this machine imports within `stack`."""
    code = keep_code(setup.ledger.store, space)
    if not setup.spec.options.address:  # the nodes of a cluster may not see it
        stack.enter_context(importing_from(Path(code.folder), SPACE))
    return code


def _require_text(argv: Sequence[str]) -> None:
    """Raises PlanError for names that are no UTF-8, since Ray keeps the command line of whoever starts it as text."""
    for argument in argv:
        if as_text(argument) != argument:
            raise PlanError(f"{as_text(argument)} is no UTF-8, which Ray needs in a command; name a link to it instead")


def run(
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
    launcher: _Launcher | None = None
    for runs in plans:
        names |= dict.fromkeys(run.name for run in runs)
        for file in ledger.set_aside():
            print(f"damaged record, its run is done again: {file}")
        before = list(ledger.records())
        runs, expected = _foresee(setup, [replace(run, code=setup.code) for run in runs], before)
        planned = [run.record() for run in runs]
        todo = _to_do(setup, runs, planned, before)
        try:
            if todo:
                launcher = launcher or stack.enter_context(_launcher(setup, runs, handed_over))
            setup.spec.write_plan(ledger, planned)  # not before Ray has started, which may fail
            if todo and launcher:
                launcher.launch(todo, runs, expected)
        finally:
            ledger.adopt(planned)


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
    for run in todo:
        ledger.runs.require_readable(run.name, to_start=True)
    done = sum(run.name in settled for run in runs)
    print(
        f"{len(runs)} run{'s' * (len(runs) != 1)} of {spec.family.name}, {done} finished before, {len(todo)} "
        f"to do on {setup.resources}; results in {ledger.location}"
    )
    if before and not spec.question:
        for line in describe_changes(runs, before):
            print(f"  {line}")
    if setup.code and (line := made_by_other_code(runs, before, setup.code)):
        print(f"  {line}")
    return todo


def _forget(setup: Setup, runs: Sequence[PlannedRun]) -> None:
    """Remove the results of --redo; of a search, at all values."""
    again = to_redo(runs, setup.spec.options.redo)
    search = setup.spec.question.search if setup.spec.question else None
    records = list(setup.ledger.records()) if again else []
    for planned in again:
        for record in alike(planned, (search.over, "seed") if search else (), records):
            setup.ledger.remove(record["run"])


class _Launcher:
    """Launches plans one after the other on the same cluster, until the budget is used up."""

    def __init__(self, ledger: Ledger, placement: Placement, rules: Rules, status: Status) -> None:
        self._ledger, self._placement, self._rules, self._status = ledger, placement, rules, status

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
            with setup.interrupts.deferred("the sweep stops once Ray has started"):
                dashboard = stack.enter_context(own_cluster(setup.resources))
            print(f"Ray dashboard: http://{dashboard} ({where_the_token_is()})")
        from raysweep.tracking import Gauges, Tracking  # once Ray is there

        gauges, tracking = Gauges(), Tracking.of(setup.ledger, setup.destinations)
        stack.push(lambda kind, *_: tracking.close(without_ray=kind is RayLostError))
        rules = Rules(
            followers=(gauges, tracking),
            counted=gauges.runs,
            backfill=options.backfill,
            deadline=math.inf if of_gpus else started + 3600 * hours,
            slot_seconds=3600 * hours if of_gpus else math.inf,
            incoming=handed_over.take,
            interrupted=lambda: bool(setup.interrupts),
        )
        status = Status(setup.ledger, choose_view(), slots=placement.slots, slots_of=placement.slots_of)
        status.start()
        stack.callback(status.close)
        stack.enter_context(setup.interrupts.noticed("running trials write their checkpoints and stop"))
        yield _Launcher(setup.ledger, placement, rules, status)
