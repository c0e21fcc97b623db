"""The command line of run_sweep.py: what is wrong is said in one line with the nearest valid choice, exit code 2."""

import argparse
import math
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from raysweep.messages import PlanError, nearest


def parse_options(
    argv: Sequence[str] | None, *, description: str | None, datasets: Sequence[str]
) -> argparse.Namespace:
    """The options given on the command line."""
    args = _parser(description, datasets).parse_args(argv)
    for flag in ("json", "calibrate"):
        if getattr(args, flag) and not args.plan:
            fail(f"--{flag} goes with --plan")
    for name in ("only", "redo"):
        given = getattr(args, name)
        setattr(args, name, split(given or []))
        if given and not getattr(args, name):
            fail(f"--{name} names nothing")
    return args


def fail(message: object, code: int = 2) -> NoReturn:
    """End the program with one line on stderr."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


def split(items: Sequence[str]) -> list[str]:
    """`["A,C", "F"]` -> `["A", "C", "F"]`."""
    return [name for item in items for name in item.split(",") if name]


def pairs(items: Sequence[str] | None, flag: str) -> dict[str, str]:
    """`["epochs=3"]` -> `{"epochs": "3"}`. Raises PlanError for anything that is not field=value."""
    found = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise PlanError(f"{flag} {item}: expected field=value")
        if name in found:
            raise PlanError(f"{flag} names {name} twice")
        found[name] = value
    return found


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest option where one is unknown."""

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"unrecognized arguments: (\S+)", message):
            flags = sorted(self._option_string_actions)
            message = f"unknown option {unknown[1]}{nearest(unknown[1], flags).split('; known')[0]}"
        fail(message)


def _seeds(text: str) -> list[int]:
    """`0,1,2` or, of many, `0-89`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, to, last = part.partition("-")
        if not (first.isdigit() and (last.isdigit() or not to)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 0,1,2 or 0-89")
        seeds += range(int(first), min(int(last or first), int(first) + MOST_SEEDS) + 1)
    if not seeds or max(seeds) >= 2**32 or len(set(seeds)) < len(seeds) or len(seeds) > MOST_SEEDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} holds a too large or repeated seed, none, or more than {MOST_SEEDS}"
        )
    return seeds


MOST_SEEDS = 100_000


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 < percent < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not an accuracy in percent, above 0 and below 100")
    return percent


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of GPUs")
    return share


def _budget(text: str) -> tuple[float, bool]:
    """Hours, and whether they are those of GPUs: `12`, `96gpu`."""
    number = text.removesuffix("gpu")
    try:
        hours = float(number)
    except ValueError:
        hours = -1.0
    if not 0 < hours < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours such as 12, or of GPU-hours such as 96gpu")
    return hours, number != text


def _parser(description: str | None, datasets: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run_sweep.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--list", action="store_true", help="show all groups and experiments, and stop")
    add("--status", action="store_true", help="show the sweep that runs in --results, until it ends, and stop")
    before = parser.add_argument_group("before it runs; nothing is started")
    before.add_argument("--plan", action="store_true", help="show each run's size, cost, memory and time, and stop")
    before.add_argument("--json", action="store_true", help="of --plan, for scripts")
    before.add_argument(
        "--calibrate", action="store_true", help="of --plan: measure what is not known of this machine first"
    )
    before.add_argument(
        "--print-commands", action="store_true", help="show each run as a command without Ray, and stop"
    )
    what = parser.add_argument_group("what to run")
    what.add_argument("--group", action="extend", nargs="+", metavar="G", help="groups by name; `all` is A to I")
    what.add_argument("--only", action="append", metavar="A,C", help="of these, names or shell patterns")
    what.add_argument(
        "--grid", action="extend", nargs="+", metavar="axis=v1,v2", help="a sub-grid of the group's family instead"
    )
    what.add_argument(
        "--seeds", type=_seeds, metavar="0,1,2", help="seeds (many: 0-89), in place of each experiment's own"
    )
    what.add_argument("--set", action="extend", nargs="+", metavar="field=value", help="change a field of every run")
    what.add_argument(
        "--target", type=_percent, metavar="ACC", help="accuracy that epochs-to-target is to reach, in percent (94)"
    )
    what.add_argument(
        "--redo", action="append", metavar="NAME", help="forget these experiments' results, run them again"
    )
    what.add_argument(
        "--accept-imported",
        action="store_true",
        help="take results that `python -m analysis import` brought in place of the same runs of the plan",
    )
    data = parser.add_argument_group("data and results")
    data.add_argument("--dataset", metavar="NAME", help=f"one of {', '.join(datasets)}")
    data.add_argument("--data-dir", metavar="DIR", help="folder of the data; without it the embedded digits are used")
    data.add_argument(
        "--results",
        default="results",
        metavar="DIR",
        help="folder or URL (s3://...) where results go (default: results)",
    )
    where = parser.add_argument_group("where to run")
    where.add_argument("--num-workers", type=_positive, metavar="N", help="workers of each run")
    where.add_argument("--gpus-per-worker", type=_share, metavar="G", help="GPUs of each worker; 0 trains on CPUs")
    where.add_argument("--address", metavar="ADDR", help="a running Ray cluster, in place of one on this machine")
    how = parser.add_argument_group("how to run")
    how.add_argument(
        "--backfill", action="store_true", help="let a later trial start early where it cannot delay an earlier one"
    )
    how.add_argument(
        "--preempt", action="store_true", help="if a sweep holds the results folder, have it run this before its own"
    )
    how.add_argument(
        "--track",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHERE",
        help="also send what runs report to mlflow[=URI] or wandb[=PROJECT] (TensorBoard's files are written anyway)",
    )
    how.add_argument(
        "--budget-hours",
        type=_budget,
        metavar="H",
        help="stop, with checkpoints, after so many hours (12), or so many of GPUs (96gpu; of CPUs without GPUs)",
    )
    return parser
