"""Run a sweep: arguments -> plan -> run -> answers.

    python run_sweep.py --list
    python run_sweep.py --group depth
    python run_sweep.py --group cifar --only '3b_*_s10' --data-dir ~/data/cifar10 --seeds 42,43

Rerunning a command is how one resumes: finished runs are skipped, interrupted ones go on from their checkpoint.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn, get_args

from raysweep.experiment import Experiment, Family, Group
from raysweep.ledger import Ledger, LedgerError
from raysweep.plan import PlanError, Run, make_runs
from search_spaces import families
from trainables.cli import UsageError, fail, nearest, parse_values
from trainables.data.catalog import DataError, locate
from trainables.scattering.config import DatasetName

Selection = list[tuple[Experiment, str]]
"""Experiments, each with the name of its group."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 where runs failed, 2 for wrong input, 130 after Ctrl-C."""
    args = _parser().parse_args(argv)
    if args.list:
        _print_experiments()
        return 0
    try:
        return _sweep(args)
    except (PlanError, LedgerError, UsageError) as error:
        fail(error)


def _sweep(args: argparse.Namespace) -> int:
    from raysweep import cluster

    family, selection = _select(args)
    overrides, said = _overrides(args, family)
    ledger = Ledger(args.results)
    resources = cluster.local_resources()

    def runs_on(resources: cluster.Resources) -> list[Run]:
        gpus = 0 if args.gpus_per_worker == 0 else resources.gpus
        runs, left_out = _make_runs(args, selection, ledger, overrides, gpus)
        resources.require_room(runs, args.gpus_per_worker)
        for line in left_out:
            print(f"left out: {line}")
        return runs

    if args.address:
        with cluster.running_cluster(args.address) as resources, ledger.locked():
            return _run(args, family, ledger, runs_on(resources), resources, said)
    runs = runs_on(resources)
    with ledger.locked():
        return _run(args, family, ledger, runs, resources, said)


def _run(args: argparse.Namespace, family: Family, ledger: Ledger, runs: list[Run], resources: Any, said: str) -> int:
    """Run what is not done yet and print the answers."""
    from analysis.report import print_answers

    for name in _redo(args, runs):
        ledger.remove(name)
    finished = ledger.finished_keys()
    for file in ledger.damaged:
        print(f"damaged record, its run is done again: {file}")
    todo = [run for run in runs if run.key not in finished]
    print(said)
    print(
        f"{len(runs)} run{'s' * (len(runs) != 1)} of {family.name}, {len(runs) - len(todo)} finished before, "
        f"{len(todo)} to do on {resources.gpus or resources.cpus} {'GPU' if resources.gpus else 'CPU'}(s); "
        f"results in {ledger.folder}"
    )
    ledger.write_plan([run.record() for run in runs], [asdict(question) for question in family.questions])
    interrupted = False
    if todo:
        try:
            _launch(args, ledger, todo, resources)
        except KeyboardInterrupt:
            interrupted = True
            print("interrupted; the same command goes on from the last checkpoints")
    print_answers(ledger.folder, [run.key for run in runs])
    if interrupted:
        return 130
    unfinished = {run.key for run in runs} - ledger.finished_keys()
    return 1 if unfinished else 0


def _launch(args: argparse.Namespace, ledger: Ledger, todo: list[Run], resources: Any) -> None:
    from raysweep import cluster

    if args.address:
        import ray

        from raysweep.launcher import launch

        width = max(resources.slots_of(run, args.gpus_per_worker) for run in todo)
        at_once = None if ray.cluster_resources().get(cluster.SLOT) else int(resources.slots // width)
        if at_once:
            print(
                f"the cluster has no resource '{cluster.SLOT}': {at_once} trial(s) at a time "
                f"(start its head with --resources='{{\"{cluster.SLOT}\": {resources.slots}}}' to fill it)"
            )
        launch(
            todo, ledger, resources, gpus_per_worker=args.gpus_per_worker, revision=_revision(), max_concurrent=at_once
        )
        return
    with cluster.own_cluster(resources) as dashboard:
        from raysweep.launcher import launch

        print(f"Ray dashboard: http://{dashboard} (token: `ray get-auth-token`)" if dashboard else "")
        launch(todo, ledger, resources, gpus_per_worker=args.gpus_per_worker, revision=_revision())


def _select(args: argparse.Namespace) -> tuple[Family, Selection]:
    """The family and the experiments that --group, --grid and --only name. Raises UsageError."""
    groups = {group.name: (family, group) for family in families() for group in family.groups}
    chosen = []
    for name in args.group or ():
        if name not in groups:
            raise UsageError(f"unknown group {name!r}{nearest(name, list(groups))}")
        chosen.append(groups[name])
    if not chosen:
        chosen = _groups_of(args, list(groups.values()))
    names = sorted({family.name for family, _ in chosen})
    if len(names) > 1:
        raise UsageError(f"groups of different families in one sweep: {' and '.join(names)}; run them one by one")
    family = chosen[0][0]
    if args.grid:
        values = {}
        for name, text in _pairs(args.grid, "--grid").items():
            values[name] = [parse_values(type(family.experiments[0].config), {name: v})[name] for v in text.split(",")]
        experiments, left_out = family.grid(values)
        for line in left_out:
            print(f"left out: {line}")
        if not experiments:
            raise UsageError(f"--grid leaves nothing to run: {left_out[0]}")
        selection = [(e, family.group_of(e.name)) for e in experiments]
    else:
        wanted = {name for _, group in chosen for name in group.experiments}
        selection = [(e, family.group_of(e.name)) for e in family.experiments if e.name in wanted]
    return family, _only(args, selection)


def _groups_of(args: argparse.Namespace, groups: list[tuple[Family, Group]]) -> list[tuple[Family, Group]]:
    """Without --group: all groups of the first family in which something matches --only."""
    if args.only and not args.grid:
        patterns = _split(args.only)
        for family, group in groups:
            if any(fnmatchcase(name, pattern) for name in group.experiments for pattern in patterns):
                return [(family, g) for g in family.groups]
        raise UsageError(f"unknown experiment {patterns[0]!r}{nearest(patterns[0], _all_names(groups))}")
    raise UsageError(f"name a group: --group {{{','.join(group.name for _, group in groups)}}}, or see --list")


def _all_names(groups: list[tuple[Family, Group]]) -> list[str]:
    return sorted({name for _, group in groups for name in group.experiments})


def _only(args: argparse.Namespace, selection: Selection) -> Selection:
    """Those that --only names, by name or shell pattern. Raises UsageError for a name that matches nothing."""
    if not args.only:
        return selection
    names = [experiment.name for experiment, _ in selection]
    kept = set()
    for pattern in _split(args.only):
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            raise UsageError(f"unknown experiment {pattern!r} in this group{nearest(pattern, names)}")
        kept |= set(matches)
    return [(experiment, group) for experiment, group in selection if experiment.name in kept]


def _overrides(args: argparse.Namespace, family: Family) -> tuple[dict[str, Any], str]:
    """Fields that --set, --dataset and --data-dir give the configurations, and a line that says which data it is."""
    config = type(family.experiments[0].config)
    overrides = parse_values(config, _pairs(args.set, "--set"))
    for name, flag in (
        ("dataset", "--dataset"),
        ("data_dir", "--data-dir"),
        ("seed", "--seeds"),
        ("save_dir", "--results"),
    ):
        if name in overrides:
            raise UsageError(f"{name} is set by {flag}, not by --set")
    dataset = args.dataset or (family.dataset if args.data_dir else "digits")
    if dataset not in get_args(DatasetName):
        raise UsageError(f"unknown dataset {dataset!r}{nearest(dataset, get_args(DatasetName))}")
    data: dict[str, Any] = {"dataset": dataset, "data_dir": args.data_dir}
    try:
        locate(dataset, args.data_dir)
    except DataError as error:
        raise UsageError(str(error)) from None
    if dataset != "digits":
        return {**overrides, **data}, f"Data: {dataset} in {args.data_dir}"
    own = {name: value for name, value in family.embedded.items() if name not in overrides and not _in_grid(args, name)}
    defaults = ", ".join(f"{name}={value}" for name, value in own.items())
    said = (
        "Data: the embedded digits (scikit-learn's handwriting as 32x32 RGB)"
        + (f", with their own defaults {defaults}" if own else "")
        + "; other data by --dataset and --data-dir"
    )
    return {**own, **overrides, **data}, said


def _in_grid(args: argparse.Namespace, name: str) -> bool:
    return any(item.partition("=")[0] == name for item in args.grid or ())


def _make_runs(
    args: argparse.Namespace, selection: Selection, ledger: Ledger, overrides: dict[str, Any], gpus: int
) -> tuple[list[Run], list[str]]:
    """The runs in order; of a grid, a line for each point that these data do not allow. Raises PlanError."""
    runs, left_out = [], []
    parts = [[pair] for pair in sorted(selection, key=lambda pair: pair[0].priority)] if args.grid else [selection]
    for part in parts:
        try:
            runs += make_runs(
                part, ledger, overrides=overrides, seeds=args.seeds, num_workers=args.num_workers, gpus=gpus
            )
        except PlanError as error:
            if not args.grid:
                raise
            left_out.append(str(error))
    if not runs:
        raise PlanError(left_out[0])
    return runs, left_out


def _redo(args: argparse.Namespace, runs: list[Run]) -> list[str]:
    """Names of the runs that --redo asks for. Raises UsageError for a name that is not in the plan."""
    again = []
    for pattern in _split(args.redo or []):
        matches = [run.name for run in runs if fnmatchcase(run.experiment.name, pattern) or run.name == pattern]
        if not matches:
            raise UsageError(f"--redo {pattern!r}{nearest(pattern, sorted({run.experiment.name for run in runs}))}")
        again += matches
    return again


def _print_experiments() -> None:
    for family in families():
        print(f"{family.name} (for {family.dataset})")
        for group in family.groups:
            print(f"  --group {group.name:16} {len(group.experiments):3} experiments: {group.why}")
        for experiment in sorted(family.experiments, key=lambda e: e.priority):
            group_name = family.group_of(experiment.name)
            seeds = f"{len(experiment.seeds)} seed{'s' * (len(experiment.seeds) != 1)}"
            print(f"    {experiment.priority}  {experiment.name:26} {group_name:16} {seeds:8} {experiment.why}")


def _revision() -> str | None:
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


def _split(items: Sequence[str]) -> list[str]:
    return [name for item in items for name in item.split(",") if name]


def _pairs(items: Sequence[str] | None, flag: str) -> dict[str, str]:
    pairs = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{flag} {item}: expected field=value")
        pairs[name] = value
    return pairs


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest option where one is unknown."""

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"unrecognized arguments: (\S+)", message):
            flags = sorted(self._option_string_actions)
            message = f"unknown option {unknown[1]}{nearest(unknown[1], flags).split('; known')[0]}"
        fail(message)


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 0,1,2") from None
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"{text!r} holds a negative or repeated seed")
    return seeds


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of GPUs")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run_sweep.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--list", action="store_true", help="show all groups and experiments, and stop")
    what = parser.add_argument_group("what to run")
    what.add_argument("--group", action="extend", nargs="+", metavar="G", help="groups by name; `all` is A to I")
    what.add_argument("--only", action="append", metavar="A,C", help="of these, names or shell patterns")
    what.add_argument(
        "--grid", action="extend", nargs="+", metavar="axis=v1,v2", help="a sub-grid of the group's family instead"
    )
    what.add_argument("--seeds", type=_seeds, metavar="0,1,2", help="seeds, in place of each experiment's own")
    what.add_argument("--set", action="extend", nargs="+", metavar="field=value", help="change a field of every run")
    what.add_argument(
        "--redo", action="append", metavar="NAME", help="forget these experiments' results, run them again"
    )
    data = parser.add_argument_group("data and results")
    data.add_argument("--dataset", metavar="NAME", help=f"one of {', '.join(get_args(DatasetName))}")
    data.add_argument("--data-dir", metavar="DIR", help="folder of the data; without it the embedded digits are used")
    data.add_argument("--results", default="results", metavar="DIR", help="where results go (default: results)")
    where = parser.add_argument_group("where to run")
    where.add_argument("--num-workers", type=_positive, metavar="N", help="workers of each run")
    where.add_argument("--gpus-per-worker", type=_share, metavar="G", help="GPUs of each worker; 0 trains on CPUs")
    where.add_argument("--address", metavar="ADDR", help="a running Ray cluster, in place of one on this machine")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `run_sweep.py --list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
