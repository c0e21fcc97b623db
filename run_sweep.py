"""Run a sweep: arguments -> plan -> run -> answers.

    python run_sweep.py --list
    python run_sweep.py --group depth
    python run_sweep.py --group cifar --only '3b_*_s10' --data-dir ~/data/cifar10 --seeds 42,43

Rerunning a command is how one resumes: finished runs are skipped, interrupted ones go on from their checkpoint.
"""

import argparse
import contextlib
import math
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from raysweep import cluster, handover, options
from raysweep.changes import changes
from raysweep.experiment import Experiment, Family, Question
from raysweep.imported import accept_imported
from raysweep.ledger import Ledger, LedgerError, open_ledger
from raysweep.plan import PlanError, Run, alike, make_runs, matching, nearest, select, select_family
from raysweep.search import Results, rounds
from search_spaces import families
from trainables.cli import UsageError, parse_values
from trainables.data.catalog import DataError, locate
from trainables.scattering.config import DatasetName

DATASETS = get_args(DatasetName)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 where runs failed, 2 for wrong input, 130 after Ctrl-C."""
    args = options.parse(argv, description=__doc__, datasets=DATASETS)
    if args.list:
        print_experiments()
        return 0
    try:
        return sweep(args, list(sys.argv[1:] if argv is None else argv))
    except (PlanError, LedgerError, UsageError, DataError) as error:
        options.fail(error)
    except OSError as error:  # a full disk, a results folder of another user
        options.fail(error, code=1)
    except KeyboardInterrupt:  # before anything was started
        return 130


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What one invocation works with."""

    args: argparse.Namespace
    family: Family
    question: Question | None
    """The one whose search chooses the runs; None where all are planned beforehand."""
    overrides: dict[str, Any]
    ledger: Ledger
    resources: cluster.Resources
    arrived: list[str]
    """Names of the runs that other commands have handed over."""

    @property
    def questions(self) -> list[dict[str, Any]]:
        """What the runs are to answer, as it is written down."""
        asked = [self.question] if self.question else [q for q in self.family.questions if q.kind != "search"]
        return [{**asdict(question), "family": question.family or self.family.name} for question in asked]

    @property
    def selection(self) -> str:
        """The arguments that name what is run, without those that say which of it and how."""
        flags = [f"--{name} {shlex.join(given)}" for name in ("group", "grid") if (given := getattr(self.args, name))]
        return " ".join(flags)

    def make(self, experiments: Sequence[Experiment], seeds: Sequence[int] | None) -> list[Run]:
        """The runs of experiments, with their own seeds without `seeds`. Raises PlanError for one that cannot be."""
        return make_runs(
            experiments,
            self.ledger,
            family=self.family,
            overrides=self.overrides,
            seeds=seeds,
            num_workers=self.args.num_workers,
            gpus=self.resources.gpus,
            group=self.args.group[0] if self.question else "",
            selection=self.selection,
        )


def sweep(args: argparse.Namespace, argv: list[str]) -> int:
    """Plan, run what is not done yet, print the answers. Raises PlanError and its like before anything starts."""
    family = select_family(families(), args.group or (), args.only)
    question = searched(args, family)
    overrides, data = data_and_overrides(args, family)
    with contextlib.ExitStack() as stack:
        use_gpus = args.gpus_per_worker != 0
        if args.address:
            resources = stack.enter_context(cluster.running_cluster(args.address, use_gpus=use_gpus))
        else:
            resources = cluster.local_resources(use_gpus=use_gpus)
        setup = Setup(
            args=args,
            family=family,
            question=question,
            overrides=overrides,
            ledger=open_ledger(args.results),
            resources=resources,
            arrived=[],
        )
        runs = plan(setup)
        if args.preempt:
            if question or args.redo:
                raise UsageError("--preempt goes with neither a search nor --redo")
            if handover.hold_or_offer(setup.ledger, stack, argv):
                return 0
        else:
            stack.enter_context(setup.ledger.locked())
        forget(setup, runs)
        print(data)
        return run(setup, search_rounds(setup, question, runs) if question else iter([runs]))


def urgent(setup: Setup) -> list[Run]:
    """The runs of commands that were handed over since the last call, which are not settled."""
    runs: list[Run] = []
    for argv, folder in handover.take(setup.ledger):
        try:
            with contextlib.chdir(folder):
                args = options.parse(argv, description=__doc__, datasets=DATASETS)
                family = select_family(families(), args.group or (), args.only)
                overrides, _ = data_and_overrides(args, family)
                theirs = replace(setup, args=args, family=family, question=None, overrides=overrides)
                planned = plan(theirs)
        except (PlanError, UsageError, DataError, OSError, SystemExit) as error:
            print(f"handed over and refused: {error}", flush=True)
            continue
        records = [run.record() for run in planned]
        enter_known(setup.ledger, records, args)
        setup.ledger.write_plan(records, theirs.questions, joining=True)
        settled = setup.ledger.settled()
        setup.arrived.extend(run.name for run in planned)
        runs += [run for run in planned if run.name not in settled]
    return runs


def searched(args: argparse.Namespace, family: Family) -> Question | None:
    """The question whose search chooses the runs of the group, with the --target given; None where none does."""
    names = args.group or ()
    search = next((group.search for group in family.groups if group.name in names and group.search), None)
    if not search:
        if args.target is not None:
            raise UsageError("--target is for a group that searches, such as epochs-to-target")
        return None
    if len(names) > 1:
        raise UsageError(f"one of {' and '.join(names)} is a search; run them one by one")
    question = next(question for question in family.questions if question.name == search)
    field = question.search.over if question.search else ""
    if {field} & {*options.pairs(args.set, "--set"), *options.pairs(args.grid, "--grid")}:
        raise UsageError(f"{field} is what {names[0]} searches; leave it out of --set and --grid")
    if args.target is None:
        return question
    return replace(question, name=f"{search}_{args.target:g}", target=args.target)


def plan(setup: Setup) -> list[Run]:
    """The runs in the order of their admission; of a search, one for each experiment at the value to start from.

    Points of a grid that cannot be are left out, saying why.
    """
    args, family = setup.args, setup.family
    grid = grid_axes(args, family)
    experiments, left_out = select(family, args.group or (), args.only, grid)
    seeds = [0] if setup.question else args.seeds
    runs: list[Run] = []
    for part in [[experiment] for experiment in experiments] if grid else [experiments]:
        try:
            runs += setup.make(part, seeds)
        except PlanError as error:
            if not grid:
                raise
            left_out.append(str(error))
    if not runs:
        raise PlanError(f"--grid leaves nothing to run: {left_out[0]}")
    setup.resources.require_room(runs, args.gpus_per_worker)
    for line in left_out:
        print(f"left out: {line}")
    return sorted(runs, key=lambda run: run.experiment.priority)


def search_rounds(setup: Setup, question: Question, starts: list[Run]) -> Iterator[list[Run]]:
    """The rounds of a search over the experiments of `starts`."""
    from analysis.threshold import Request, next_step

    search, target = question.search, question.target
    assert search
    assert target is not None
    seeds = setup.args.seeds or range(search.looks[-1])

    def decide(results: Results, start: float) -> tuple[float, int] | None:
        step = next_step(search, target, results, start, len(seeds))
        return (step.value, step.n) if isinstance(step, Request) else None

    def make(experiment: Experiment, its_seeds: Sequence[int]) -> list[Run]:
        return setup.make([experiment], its_seeds)

    return rounds(starts, search, question.metrics[0], seeds, setup.ledger, decide, make)


def grid_axes(args: argparse.Namespace, family: Family) -> dict[str, list[Any]]:
    """The values of --grid by field. Raises UsageError for repeated values and fields that another flag sets."""
    config = type(family.experiments[0].config)
    axes = {}
    for name, values in options.pairs(args.grid, "--grid").items():
        require_free(name, "--grid")
        if name in options.pairs(args.set, "--set"):
            raise UsageError(f"{name} is set by both --grid and --set")
        axes[name] = [parse_values(config, {name: value})[name] for value in values.split(",")]
        if len(set(axes[name])) < len(axes[name]):
            raise UsageError(f"--grid {name}={values} repeats a value")
    return axes


def require_free(name: str, flag: str) -> None:
    """Raises UsageError for a field that has a flag of its own."""
    own = {"dataset": "--dataset", "data_dir": "--data-dir", "seed": "--seeds", "save_dir": "--results"}
    if name in own:
        raise UsageError(f"{name} is set by {own[name]}, not by {flag}")


def forget(setup: Setup, runs: list[Run]) -> None:
    """Remove the results of the experiments of --redo; of a search, at all values."""
    again = matching([planned.experiment.name for planned in runs], setup.args.redo)
    search = setup.question.search if setup.question else None
    records = list(setup.ledger.records()) if again else []
    for planned in runs:
        if planned.experiment.name in again:
            for record in alike(planned, (search.over, "seed") if search else (), records):
                setup.ledger.remove(record["run"])


def enter_known(ledger: Ledger, planned: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Enter under their planned names the results that there are, of other experiments and, if asked for, imported."""
    ledger.adopt(planned)
    if args.accept_imported:
        for line in accept_imported(ledger, planned):
            print(line)


def run(setup: Setup, plans: Iterator[list[Run]]) -> int:
    """Run what is not finished, one plan after the other, and print the answers."""
    from analysis.terminal import print_answers

    ledger = setup.ledger
    names: dict[str, None] = {}
    interrupted = False
    with contextlib.ExitStack() as stack:
        launch: Callable[[list[Run]], None] | None = None
        for runs in plans:
            names |= dict.fromkeys(run.name for run in runs)
            planned = [run.record() for run in runs]
            for file in ledger.set_aside():
                print(f"damaged record, its run is done again: {file}")
            before = list(ledger.records())
            enter_known(ledger, planned, setup.args)
            settled = ledger.settled()
            first = {run.key: run for run in reversed(runs)}  # of several experiments that are the same run
            todo = [run for run in runs if run.name not in settled and run is first[run.key]]
            done = sum(run.name in settled for run in runs)
            print(
                f"{len(runs)} run{'s' * (len(runs) != 1)} of {setup.family.name}, {done} finished before, {len(todo)} "
                f"to do on {setup.resources}; results in {ledger.location}"
            )
            if before and not setup.question:
                for line in changes(runs, before):
                    print(f"  {line}")
            ledger.write_plan(planned, setup.questions)
            if not todo:
                continue
            try:
                launch = launch or stack.enter_context(launcher(setup, runs))
                launch(todo)
            except KeyboardInterrupt:
                interrupted = True
                print("interrupted; the same command goes on from the last checkpoints")
                break
            finally:
                ledger.adopt(planned)
    names |= dict.fromkeys(setup.arrived)
    print_answers(ledger.location, list(names))
    ledger.write_frame()
    if interrupted:
        return 130
    return 1 if names.keys() - ledger.finished() else 0


def notice_interrupts() -> Callable[[], bool]:
    """Let Ctrl-C be noticed; the second one ends us at once, and the cluster's supervisor cleans up.

    Returns what says whether there was one. A shell that has had it ignored, as for a job in the background, is obeyed.
    """
    noticed = threading.Event()

    def interrupt(*_: object) -> None:
        if noticed.is_set():
            os._exit(130)
        noticed.set()
        print("Ctrl-C: running trials write their checkpoints and stop (Ctrl-C again: at once)", flush=True)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return noticed.is_set


@contextlib.contextmanager
def launcher(setup: Setup, runs: list[Run]) -> Iterator[Callable[[list[Run]], None]]:
    """What launches runs on the cluster of --address, or on one of our own that ends with this context."""
    args, max_concurrent = setup.args, None
    hours, of_gpus = args.budget_hours or (math.inf, False)
    left = 3600 * hours if of_gpus else math.inf  # of slots times seconds
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        if args.address:
            max_concurrent = cluster.concurrent_trials(runs, setup.resources, args.gpus_per_worker)
        else:
            dashboard = stack.enter_context(cluster.own_cluster(setup.resources))
            print(f"Ray dashboard: http://{dashboard} (token: `ray get-auth-token`)")
        from raysweep.launcher import Rules, launch

        rules = Rules(
            gpus_per_worker=args.gpus_per_worker,
            max_concurrent=max_concurrent,
            loopback=not args.address,
            backfill=args.backfill,
            deadline=math.inf if of_gpus else started + 3600 * hours,
            incoming=lambda: urgent(setup),
            interrupted=notice_interrupts(),
        )

        def start(todo: list[Run]) -> None:
            nonlocal left
            left -= launch(todo, setup.ledger, setup.resources, replace(rules, slot_seconds=left))

        yield start


def data_and_overrides(args: argparse.Namespace, family: Family) -> tuple[dict[str, Any], str]:
    """Fields that --set, --dataset and --data-dir give the configurations, and a line that says which data it is.

    Without --data-dir the data are the embedded digits, with the family's own defaults for them.
    """
    overrides = parse_values(type(family.experiments[0].config), options.pairs(args.set, "--set"))
    for name in overrides:
        require_free(name, "--set")
    dataset = args.dataset or (family.dataset if args.data_dir else "digits")
    if dataset not in DATASETS:
        raise UsageError(f"unknown dataset {dataset!r}{nearest(dataset, DATASETS)}")
    locate(dataset, args.data_dir)
    data = {"dataset": dataset, "data_dir": args.data_dir}
    if dataset != "digits":
        return {**overrides, **data}, f"Data: {dataset} in {args.data_dir}"
    given = overrides.keys() | options.pairs(args.grid, "--grid").keys()
    own = {name: value for name, value in family.embedded.items() if name not in given}
    defaults = ", ".join(f"{name}={value}" for name, value in own.items())
    said = "Data: the embedded digits (scikit-learn's handwriting as 32x32 RGB)"
    said += f", with their own defaults {defaults}" if own else ""
    return {**own, **overrides, **data}, f"{said}; other data by --dataset and --data-dir"


def print_experiments() -> None:
    """All groups and experiments, for --list."""
    for family in families():
        print(f"{family.name} (for {family.dataset})")
        for group in family.groups:
            print(f"  --group {group.name:16} {len(group.experiments):3} experiments: {group.why}")
        print("    priority, experiment, group, seeds")
        for experiment in sorted(family.experiments, key=lambda e: e.priority):
            home, seeds = family.group_of(experiment.name), len(experiment.seeds)
            print(f"    {experiment.priority}  {experiment.name:26} {home:16} {seeds}  {experiment.why}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `run_sweep.py --list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
