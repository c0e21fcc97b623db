"""Carries out one sweep command, from its options to recorded results."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raysweep.cache import cache_folder
from raysweep.experiment import Family
from raysweep.forecasts import RunCosts, machine_of, show_plan
from raysweep.ledger import SPACE, Code, hash_of_code, hold_or_offer, keep_code, open_ledger, require_readable
from raysweep.live import LiveReport, ReportCommand, outlived_output
from raysweep.messages import PlanError, as_text
from raysweep.modules import importing_from
from raysweep.plan_runner import Setup, carry_out
from raysweep.planning import (
    Budget,
    HandedOver,
    NextSeeds,
    NextStep,
    Options,
    ParseValues,
    PlannedRun,
    Resources,
    SweepSpec,
    UntilAnswered,
    alike,
    bring_back,
    families_of,
    local_resources,
    run_by_its_own_code,
    search_rounds,
    select_family,
    shell_commands,
    sweep_spec,
    to_redo,
)
from raysweep.running import Interrupts, require_environment, running_cluster
from raysweep.tracking import reach


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """Functions that the entry point passes in, since raysweep imports no family, trainable or analysis by name."""

    families: Callable[[], Sequence[Family]]
    """Returns the families of the project."""
    parse_values: ParseValues
    """Reads the values of --set and --grid."""
    next_step: NextStep
    """Returns what a search runs next."""
    next_seeds: NextSeeds
    """Returns what a sweep runs next that goes on until its questions are answered."""
    print_answers: Callable[[str, Sequence[str]], None]
    """Prints the answers that the named runs of the results at a location give."""
    report_command: ReportCommand
    """Returns the command that refreshes the report of the results at a location."""


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
            stack.enter_context(outlived_output())
        spec = sweep_spec(options, family, hooks.parse_values)
        resources = _resources(options, stack)
        ledger = open_ledger(options.results)
        setup = Setup(
            spec=spec,
            ledger=ledger,
            resources=resources,
            destinations=reach(options.track),
            interrupts=interrupts,
            budget=Budget(options.budget_hours),
            report=LiveReport(ledger, hooks.report_command),
        )
        runs = spec.plan(ledger, resources)
        make_rounds = functools.partial(_rounds, setup, hooks)
        until = make_rounds(spec, runs, argv) if options.until_answered and not spec.question else None
        if options.print_commands:
            _print_commands(spec, runs)
            return 0
        if options.plan:
            _show_plan(setup, runs, until)
            return 0
        if options.with_its_own_code:
            run_by_its_own_code(ledger, to_redo(runs, options.redo), options, argv)
        require_readable(ledger)
        if not options.preempt:
            stack.enter_context(ledger.store.locked())
        elif hold_or_offer(ledger, stack, argv, lambda: hash_of_code(options.space)):
            return 0
        _forget(setup, runs, until)
        print(spec.data)
        keep = functools.partial(_keep_code, setup, stack)
        setup = replace(setup, code=keep(options.space))
        known = functools.partial(families_of, of_the_project=hooks.families)
        handed_over = HandedOver(ledger, resources, known, hooks.parse_values, keep, make_rounds)
        names, lost = carry_out(setup, _plans(setup, hooks, runs, until), handed_over)
        _report(setup, hooks, names)
        if interrupts:
            return interrupts.exit_code
        if lost:
            raise lost
        return int(bool(set(names) - ledger.finished() or handed_over.unreadable))


def _report(setup: Setup, hooks: Hooks, names: Sequence[str]) -> None:
    """Print the answers of the named runs, and leave the last report and the table of all records."""
    with setup.report.refreshed_at_last(interrupted=bool(setup.interrupts)):
        hooks.print_answers(setup.ledger.location, names)
        setup.ledger.write_frame()


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


def _resources(options: Options, stack: contextlib.ExitStack) -> Resources:
    """The CPUs and GPUs of the sweep; within `stack`, this process is connected to the cluster of --address."""
    use_gpus = options.gpus_per_worker != 0
    if options.address:
        return stack.enter_context(running_cluster(options.address, use_gpus=use_gpus))
    if options.print_commands:  # each experiment's own number of workers
        return Resources(cpus=sys.maxsize, gpus=sys.maxsize)
    return local_resources(use_gpus=use_gpus, slots=options.slots)


def _print_commands(spec: SweepSpec, runs: Sequence[PlannedRun]) -> None:
    """Print the runs as commands for a shell. Raises PlanError for a search, and for an unknown name in --redo."""
    to_redo(runs, spec.options.redo)
    if spec.question:
        name = spec.options.group[0]
        raise PlanError(f"{name} is a search: which runs it does follows from results, so it has no commands")
    print(*shell_commands(runs), sep="\n")


def _rounds(
    setup: Setup, hooks: Hooks, spec: SweepSpec, runs: Sequence[PlannedRun], argv: Sequence[str]
) -> UntilAnswered:
    """The rounds of a command, this one or one that was handed over, that goes on until its questions are answered."""
    ledger, resources = setup.ledger, setup.resources
    costs = RunCosts(ledger, machine_of(resources, spec.options.gpus_per_worker, cache_folder()))
    return UntilAnswered(spec, runs, ledger, resources, hooks.next_seeds, costs, setup.budget, argv)


def _plans(
    setup: Setup, hooks: Hooks, runs: list[PlannedRun], until: UntilAnswered | None
) -> Iterator[list[PlannedRun]]:
    """What is carried out, one plan after the other."""
    if setup.spec.question:
        return search_rounds(setup.spec, runs, setup.ledger, setup.resources, hooks.next_step)
    return until.rounds() if until else iter([runs])


def _show_plan(setup: Setup, runs: Sequence[PlannedRun], until: UntilAnswered | None) -> None:
    """Print the plan and, of one that goes on until its questions are answered, what that is expected to take.

    Raises PlanError for an unknown name in --redo.
    """
    _to_redo(setup, runs, until)
    if until is None:
        show_plan(setup.spec, runs, setup.ledger, setup.resources)
        return
    runs, allocation = until.next_plan()
    show_plan(setup.spec, runs, setup.ledger, setup.resources)
    if not setup.spec.options.json:
        print(*until.foreseen(allocation), sep="\n")


def _to_redo(setup: Setup, runs: Sequence[PlannedRun], until: UntilAnswered | None) -> list[PlannedRun]:
    """The runs that --redo names, of a plan until its questions are answered with all seeds. Raises PlanError for a
    name of none."""
    if until and setup.spec.options.redo:
        runs = list({run.name: run for run in [*runs, *until.known_runs()]}.values())
    return to_redo(runs, setup.spec.options.redo)


def _forget(setup: Setup, runs: Sequence[PlannedRun], until: UntilAnswered | None) -> None:
    """Remove the results of --redo: of a search at all values, of one until its questions are answered of all seeds."""
    again = _to_redo(setup, runs, until)
    if until and again:
        until.forget()
    search = setup.spec.question.search if setup.spec.question else None
    records = list(setup.ledger.records()) if again else []
    for planned in again:
        for record in alike(planned, (search.over, "seed") if search else (), records):
            setup.ledger.remove(record["run"])
