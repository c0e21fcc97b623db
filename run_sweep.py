"""Run a sweep: arguments -> plan -> run -> answers.

    python run_sweep.py --list
    python run_sweep.py --group depth
    python run_sweep.py --group cifar --only '3b_*_s10' --data-dir ~/data/cifar10 --seeds 42,43

Rerunning a command is how one resumes: finished runs are skipped, interrupted ones go on from their checkpoint.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

from raysweep import session
from raysweep.cache import cache_folder
from raysweep.experiment import Experiment, Family, Question
from raysweep.forecasts import calibrate, past_error, plan_as_json, print_plan, rows_of, setting_of, total_of
from raysweep.ledger import LedgerError, hold_or_offer, open_ledger, take_commands, write_plan
from raysweep.live import watch_sweep
from raysweep.messages import PlanError, nearest
from raysweep.planning import (
    PlannedRun,
    Resources,
    Results,
    fail,
    local_resources,
    pairs,
    parse_options,
    rounds,
    select,
    select_family,
    shell_commands,
)
from raysweep.running import running_cluster
from raysweep.tracking import reach
from search_spaces import families
from trainables.cli import UsageError, parse_values
from trainables.data.catalog import DataError, locate, published_sizes
from trainables.scattering.config import DatasetName

DATASETS = get_args(DatasetName)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 where runs failed, 2 for wrong input, 130 after Ctrl-C."""
    args = parse_options(argv, description=__doc__, datasets=DATASETS)
    if args.list:
        print_experiments()
        return 0
    try:
        if args.status:
            watch_sweep(args.results)
            return 0
        return sweep(args, list(sys.argv[1:] if argv is None else argv))
    except (PlanError, LedgerError, UsageError, DataError) as error:
        fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a results folder of another user
        fail(error, code=1)
    except KeyboardInterrupt:  # before anything was started
        return 130


def sweep(args: argparse.Namespace, argv: list[str]) -> int:
    """Plan, run what is not done yet, print the answers. Raises PlanError and its like before anything starts."""
    family = select_family(families(), args.group or (), args.only)
    question = searched(args, family)
    with contextlib.ExitStack() as stack:
        if args.plan or args.print_commands:  # for machines that may have other data and devices
            stack.enter_context(published_sizes())
        overrides, data = data_and_overrides(args, family)
        use_gpus = args.gpus_per_worker != 0
        if args.address:
            resources = stack.enter_context(running_cluster(args.address, use_gpus=use_gpus))
        elif args.print_commands:  # each experiment's own number of workers
            resources = Resources(cpus=sys.maxsize, gpus=sys.maxsize)
        else:
            resources = local_resources(use_gpus=use_gpus)
        setup = session.Setup(
            args=args,
            family=family,
            question=question,
            overrides=overrides,
            ledger=open_ledger(args.results),
            resources=resources,
            arrived=[],
            destinations=reach(args.track),
        )
        runs = plan(setup)
        if args.print_commands:
            print_commands(setup, runs)
            return 0
        if args.plan:
            show_plan(setup, runs, data)
            return 0
        if args.preempt:
            if question or args.redo:
                raise UsageError("--preempt goes with neither a search nor --redo")
            if hold_or_offer(setup.ledger, stack, argv):
                return 0
        else:
            stack.enter_context(setup.ledger.store.locked())
        session.forget(setup, runs)
        print(data)
        plans = search_rounds(setup, question, runs) if question else iter([runs])
        names, interrupted = session.run(setup, plans, lambda: urgent(setup))
        from analysis.terminal import print_answers

        print_answers(setup.ledger.location, names)
        setup.ledger.write_frame()
        return 130 if interrupted else int(bool(set(names) - setup.ledger.finished()))


def print_commands(setup: session.Setup, runs: list[PlannedRun]) -> None:
    """The runs as commands for a shell. Raises UsageError for a search."""
    if setup.question:
        name = setup.args.group[0]
        raise UsageError(f"{name} is a search: which runs it does follows from results, so it has no commands")
    print(*shell_commands(runs), sep="\n")


def show_plan(setup: session.Setup, runs: list[PlannedRun], data: str) -> None:
    """What the runs are, need and take, as a table or for scripts."""
    args = setup.args
    setting = setting_of(setup.resources, args.gpus_per_worker, cache_folder())
    if args.calibrate:
        calibrate(runs, setting.share_of, setting.cache, say=lambda line: print(line, file=sys.stderr))
    rows = rows_of(runs, setup.ledger, setting)
    if args.json:
        print(json.dumps(plan_as_json(rows), indent=1))
        return
    print(data)
    total, error = total_of(rows, setting), past_error(setup.ledger.records())
    print_plan(rows, total, error, resources=str(setup.resources))
    if setup.question:
        print("these are the first runs of a search; which others follow depends on their results")


def urgent(setup: session.Setup) -> list[PlannedRun]:
    """The runs of commands that were handed over since the last call, which are not settled."""
    runs: list[PlannedRun] = []
    for argv, folder in take_commands(setup.ledger):
        try:
            with contextlib.chdir(folder):
                args = parse_options(argv, description=__doc__, datasets=DATASETS)
                family = select_family(families(), args.group or (), args.only)
                overrides, _ = data_and_overrides(args, family)
                theirs = replace(setup, args=args, family=family, question=None, overrides=overrides)
                planned = plan(theirs)
        except (PlanError, UsageError, DataError, OSError, SystemExit) as error:
            print(f"handed over and refused: {error}", flush=True)
            continue
        records = [run.record() for run in planned]
        session.enter_known(setup.ledger, records, args)
        write_plan(setup.ledger, records, theirs.questions, joining=True)
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
    if {field} & {*pairs(args.set, "--set"), *pairs(args.grid, "--grid")}:
        raise UsageError(f"{field} is what {names[0]} searches; leave it out of --set and --grid")
    if args.target is None:
        return question
    return replace(question, name=f"{search}_{args.target:g}", target=args.target)


def plan(setup: session.Setup) -> list[PlannedRun]:
    """The runs in the order of their admission; of a search, one for each experiment at the value to start from.

    Points of a grid that cannot be are left out, saying why.
    """
    args, family = setup.args, setup.family
    grid = grid_axes(args, family)
    experiments, left_out = select(family, args.group or (), args.only, grid)
    seeds = [0] if setup.question else args.seeds
    runs: list[PlannedRun] = []
    for part in [[experiment] for experiment in experiments] if grid else [experiments]:
        try:
            runs += setup.make(part, seeds)
        except PlanError as error:
            if not grid:
                raise
            left_out.append(str(error))
    if not runs:
        raise PlanError(f"--grid leaves nothing to run: {left_out[0]}")
    if not args.plan:  # it may be for another machine
        setup.resources.require_room(runs, args.gpus_per_worker)
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr if args.plan or args.print_commands else sys.stdout)
    return sorted(runs, key=lambda run: run.experiment.priority)


def search_rounds(setup: session.Setup, question: Question, starts: list[PlannedRun]) -> Iterator[list[PlannedRun]]:
    """The rounds of a search over the experiments of `starts`."""
    from analysis.threshold import Request, next_step

    search, target = question.search, question.target
    assert search
    assert target is not None
    seeds = setup.args.seeds or range(search.looks[-1])

    def decide(results: Results, start: float) -> tuple[float, int] | None:
        step = next_step(search, target, results, start, len(seeds))
        return (step.value, step.n) if isinstance(step, Request) else None

    def make(experiment: Experiment, its_seeds: Sequence[int]) -> list[PlannedRun]:
        return setup.make([experiment], its_seeds)

    return rounds(starts, search, question.metrics[0], seeds, setup.ledger, decide, make)


def grid_axes(args: argparse.Namespace, family: Family) -> dict[str, list[Any]]:
    """The values of --grid by field. Raises UsageError for repeated values and fields that another flag sets."""
    config = type(family.experiments[0].config)
    axes = {}
    for name, values in pairs(args.grid, "--grid").items():
        require_free(name, "--grid")
        if name in pairs(args.set, "--set"):
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


def data_and_overrides(args: argparse.Namespace, family: Family) -> tuple[dict[str, Any], str]:
    """Fields that --set, --dataset and --data-dir give the configurations, and a line that says which data it is.

    Without --data-dir the data are the embedded digits, with the family's own defaults for them.
    """
    overrides = parse_values(type(family.experiments[0].config), pairs(args.set, "--set"))
    for name in overrides:
        require_free(name, "--set")
    dataset = args.dataset or (family.dataset if args.data_dir else "digits")
    if dataset not in DATASETS:
        raise UsageError(f"unknown dataset {dataset!r}{nearest(dataset, DATASETS)}")
    locate(dataset, args.data_dir)
    data = {"dataset": dataset, "data_dir": args.data_dir}
    if dataset != "digits":
        elsewhere = locate(dataset, args.data_dir).layout == "published"
        where = "as it was published (its files are not here)" if elsewhere else f"in {args.data_dir}"
        return {**overrides, **data}, f"Data: {dataset} {where}"
    given = overrides.keys() | pairs(args.grid, "--grid").keys()
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
