"""Run a sweep: arguments -> plan -> run -> answers.

    python run_sweep.py --list
    python run_sweep.py --group depth
    python run_sweep.py --group cifar --only '3b_*_s10' --data-dir ~/data/cifar10 --seeds 42,43

Rerunning a command is how one resumes: finished runs are skipped, interrupted ones go on from their checkpoint.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from raysweep import cluster, options
from raysweep.experiment import Family
from raysweep.ledger import Ledger, LedgerError
from raysweep.plan import PlanError, Run, make_runs, matching, nearest, select, select_family
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
        return sweep(args)
    except (PlanError, LedgerError, UsageError, DataError) as error:
        options.fail(error)
    except OSError as error:  # a full disk, a results folder of another user
        options.fail(error, code=1)


def sweep(args: argparse.Namespace) -> int:
    """Plan, run what is not done yet, print the answers. Raises PlanError and its like before anything starts."""
    family = select_family(families(), args.group or (), args.only)
    overrides, data = data_and_overrides(args, family)
    ledger = Ledger(args.results)
    if not args.address:
        resources = cluster.local_resources(use_gpus=args.gpus_per_worker != 0)
        runs = plan(args, family, overrides, ledger, resources)
        with ledger.locked():
            return run(args, family, ledger, runs, resources, data)
    with cluster.running_cluster(args.address, use_gpus=args.gpus_per_worker != 0) as resources:
        runs = plan(args, family, overrides, ledger, resources)
        with ledger.locked():
            return run(args, family, ledger, runs, resources, data)


def plan(
    args: argparse.Namespace, family: Family, overrides: dict[str, Any], ledger: Ledger, resources: cluster.Resources
) -> list[Run]:
    """The runs in the order of their admission. Points of a grid that cannot be are left out, saying why."""
    grid = grid_axes(args, family)
    experiments, left_out = select(family, args.group or (), args.only, grid)
    runs: list[Run] = []
    for part in [[experiment] for experiment in experiments] if grid else [experiments]:
        try:
            runs += make_runs(
                part,
                ledger,
                family=family,
                overrides=overrides,
                seeds=args.seeds,
                num_workers=args.num_workers,
                gpus=resources.gpus,
            )
        except PlanError as error:
            if not grid:
                raise
            left_out.append(str(error))
    if not runs:
        raise PlanError(f"--grid leaves nothing to run: {left_out[0]}")
    resources.require_room(runs, args.gpus_per_worker)
    for line in left_out:
        print(f"left out: {line}")
    return sorted(runs, key=lambda run: run.experiment.priority)


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


def run(
    args: argparse.Namespace, family: Family, ledger: Ledger, runs: list[Run], resources: cluster.Resources, data: str
) -> int:
    """Run what is not finished and print the answers."""
    from analysis.report import print_answers

    again = matching([run.experiment.name for run in runs], args.redo)
    for planned in runs:
        if planned.experiment.name in again:
            ledger.remove(planned.name)
    finished = ledger.finished()
    for file in ledger.damaged:
        print(f"damaged record, its run is done again: {file}")
    todo = [planned for planned in runs if planned.name not in finished]
    print(data)
    print(
        f"{len(runs)} run{'s' * (len(runs) != 1)} of {family.name}, {len(runs) - len(todo)} finished before, "
        f"{len(todo)} to do on {resources}; results in {ledger.folder}"
    )
    ledger.write_plan([planned.record() for planned in runs], [asdict(question) for question in family.questions])
    interrupted = False
    if todo:
        try:
            launch(args, ledger, todo, resources)
        except KeyboardInterrupt:
            interrupted = True
            print("interrupted; the same command goes on from the last checkpoints")
    print_answers(ledger.folder, [planned.name for planned in runs])
    if interrupted:
        return 130
    return 1 if {planned.name for planned in runs} - ledger.finished() else 0


def launch(args: argparse.Namespace, ledger: Ledger, todo: list[Run], resources: cluster.Resources) -> None:
    """Run on the cluster of --address, or on one of our own."""
    common: dict[str, Any] = {"gpus_per_worker": args.gpus_per_worker, "revision": git_revision()}
    if args.address:
        from raysweep.launcher import launch

        at_once = cluster.concurrent_trials(todo, resources, args.gpus_per_worker)
        launch(todo, ledger, resources, max_concurrent=at_once, **common)
        return
    with cluster.own_cluster(resources) as dashboard:
        from raysweep.launcher import launch

        print(f"Ray dashboard: http://{dashboard} (token: `ray get-auth-token`)")
        launch(todo, ledger, resources, **common)


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


def git_revision() -> str | None:
    """The git revision of this code, with a + where it was changed since."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty=+",
        "--abbrev=12",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `run_sweep.py --list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
