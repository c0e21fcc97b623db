"""The command line of run_sweep.py. The parser and the help are made from the fields of `Options`, one per flag."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

from raysweep.messages import PlanError, nearest
from raysweep.planning.values import (
    accuracy_of,
    budget_of,
    fields_of,
    gpus_of,
    most_seeds_of,
    names_of,
    port_of,
    seeds_of,
    text_of,
    words_of,
    workers_of,
)

BEFORE = "before it runs; nothing is started"
WHAT = "what to run"
DATA = "data and results"
WHERE = "where to run"
HOW = "how to run"

OF_TIDY = {"tidy", "results", "plan", "space", "help", "list", "status"}
"""The options that --tidy may stand beside."""

Finish = Callable[[Any, str], Any]
"""Turns what argparse found for a flag, and the flag's name, into the field's value. May raise PlanError."""


def _flag(help: str, section: str = "", *, default: Any = None, finish: Finish | None = None, **more: Any) -> Any:
    """A field of `Options` that becomes the flag of its name; `more` are further arguments for argparse."""
    metadata = {"section": section, "finish": finish, "argparse": {"help": help, **more}}
    if default == {}:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def _switch(help: str, section: str = "") -> Any:
    return _flag(help, section, default=False, action="store_true")


def _words(help: str, section: str, metavar: str) -> Any:
    """A flag that takes one or more words, and may be repeated."""
    return _flag(help, section, default=(), finish=words_of, action="extend", nargs="+", metavar=metavar)


def _text(help: str, section: str, metavar: str, default: str | None = None) -> Any:
    """A flag that takes a text, which is not blank."""
    return _flag(help, section, default=default, finish=text_of, metavar=metavar)


def _names(help: str, section: str, metavar: str) -> Any:
    """A flag that takes names separated by commas, and may be repeated."""
    return _flag(help, section, default=(), finish=names_of, action="append", metavar=metavar)


def _assignments(help: str, section: str, metavar: str) -> Any:
    """A flag that takes one or more field=value, and may be repeated."""
    return _flag(help, section, default={}, finish=fields_of, action="extend", nargs="+", metavar=metavar)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of one command; the text beside each field is its help. Fields stand in the order of the help."""

    help: bool = _switch("show this help, and stop")
    list: bool = _switch("show all groups and experiments, or those of --group, and stop")
    status: bool = _switch("show the sweep that runs in --results, until it ends, and stop")

    serve: bool = _switch("serve the report in --results to browsers on this machine, until Ctrl-C")
    port: int | None = _flag("of --serve: this port; without it 8321, or else a free one", type=port_of, metavar="P")

    code: tuple[str, str] | None = _flag(
        "copy the code that made a run into a new folder, and stop", metavar=("RUN", "DIR"), nargs=2, finish=words_of
    )
    tidy: bool = _switch(
        "remove from the finished runs in --results what only unfinished ones need, and stop; with --plan, show it"
    )

    plan: bool = _switch("show each run's size, cost, memory and time, and stop", BEFORE)
    json: bool = _switch("of --plan, for scripts", BEFORE)
    calibrate: bool = _switch("of --plan: measure what is not known of this machine first", BEFORE)
    print_commands: bool = _switch("show each run as a command without Ray, and stop", BEFORE)

    space: str | None = _text("a Python file whose FAMILY is to be run, in place of those of the project", WHAT, "FILE")
    group: tuple[str, ...] = _words("groups by name; `all` is A to I", WHAT, "G")
    only: tuple[str, ...] = _names("of these, names or shell patterns", WHAT, "A,C")
    grid: Mapping[str, str] = _assignments("a sub-grid of the group's family instead", WHAT, "axis=v1,v2")
    seeds: tuple[int, ...] | None = _flag(
        "seeds (many: 0-89), in place of each experiment's own", WHAT, type=seeds_of, metavar="0,1,2"
    )
    set: Mapping[str, str] = _assignments("change a field of every run", WHAT, "field=value")
    target: float | None = _flag(
        "accuracy that epochs-to-target is to reach, in percent (94)", WHAT, type=accuracy_of, metavar="ACC"
    )
    redo: tuple[str, ...] = _names("forget the results of these experiments or runs, run them again", WHAT, "NAME")
    with_its_own_code: bool = _switch("of --redo: by the code that has made these results", WHAT)
    accept_imported: bool = _switch(
        "take results that `python -m analysis import` brought in place of the same runs of the plan", WHAT
    )

    dataset: str | None = _text("which data", DATA, "NAME")
    data_dir: str | None = _text("folder of the data; without it the embedded digits are used", DATA, "DIR")
    results: str = _text("folder or URL (s3://...) where results go (default: results)", DATA, "DIR", "results")

    num_workers: int | None = _flag("workers of each run", WHERE, type=workers_of, metavar="N")
    gpus_per_worker: float | None = _flag("GPUs of each worker; 0 trains on CPUs", WHERE, type=gpus_of, metavar="G")
    slots: int | None = _flag(
        "take so many slots of this machine alone: GPUs or, without GPUs, CPUs", WHERE, type=workers_of, metavar="N"
    )
    address: str | None = _text("a running Ray cluster, in place of one on this machine", WHERE, "ADDR")

    breadth_first: bool = _switch(
        "within a priority, run the first seed of every experiment before any second one", HOW
    )
    until_answered: bool = _switch(
        "go on with more seeds, of the experiments whose questions gain most by them, until all are answered", HOW
    )
    max_seeds: int | None = _flag(
        "of --until-answered: an experiment gets at most so many seeds (20)", HOW, type=most_seeds_of, metavar="N"
    )
    backfill: bool = _switch("let a later trial start early where it cannot delay an earlier one", HOW)
    keep_last: bool = _switch("keep last.pt of runs that have finished, with the state of the optimiser", HOW)
    preempt: bool = _switch("if a sweep holds the results folder, have it run this before its own", HOW)
    track: tuple[str, ...] = _words(
        "also send what runs report to mlflow[=URI] or wandb[=PROJECT] (TensorBoard's files are written anyway)",
        HOW,
        "WHERE",
    )
    budget_hours: tuple[float, bool] | None = _flag(
        "stop, with checkpoints, after so many hours (12), or so many of GPUs (96gpu; of CPUs without GPUs)",
        HOW,
        type=budget_of,
        metavar="H",
    )


def parse_options(argv: Sequence[str]) -> Options:
    """The options given on the command line. Raises PlanError if they are wrong."""
    found = vars(_parser().parse_args(argv))
    given = {}
    for option in fields(Options):
        value, finish = found[option.name], option.metadata["finish"]
        if value == [] or (isinstance(value, list) and [] in value):  # what argparse makes of --slots=--
            raise PlanError(f"{_name(option)}: expected a value")
        if value is not None:
            given[option.name] = finish(value, _name(option)) if finish else value
    options = Options(**given)
    for name in ("json", "calibrate"):
        if given.get(name) and not options.plan:
            raise PlanError(f"--{name} goes with --plan")
    if options.port is not None and not options.serve:
        raise PlanError("--port goes with --serve")
    if options.with_its_own_code and (not options.redo or options.until_answered):
        raise PlanError("--with-its-own-code goes with --redo, and not with --until-answered")
    _require_rounds(options)
    if options.slots and options.address:
        raise PlanError("--slots is for this machine alone; the slots of a cluster are a resource of its head node")
    if options.tidy and (more := [option for option in fields(Options) if option.name in given.keys() - OF_TIDY]):
        raise PlanError(f"--tidy goes with --results, --plan and --space alone, not with {_name(more[0])}")
    return options


def _require_rounds(options: Options) -> None:
    """Raises PlanError for what does not go with --until-answered, and for --max-seeds without it."""
    if options.max_seeds is not None and not options.until_answered:
        raise PlanError("--max-seeds goes with --until-answered")
    if options.until_answered and options.print_commands:
        raise PlanError("--until-answered chooses runs by results, so it has no commands to print")
    if options.until_answered and options.max_seeds == 1:
        raise PlanError("--until-answered --max-seeds 1: it needs two seeds or more, since one shows no variance")
    if options.until_answered and len(options.seeds or ()) == 1:
        raise PlanError("--until-answered --seeds: it needs two seeds or more, since one shows no variance")


def help_text(description: str | None, datasets: str) -> str:
    """The text of --help. `datasets` lists what --dataset may name."""
    return _parser(description, datasets).format_help()


def without(argv: Sequence[str], flags: Mapping[str, int]) -> list[str]:
    """The words of a command line without some flags, of which each has so many words behind it, or one after a =."""
    left, skip = [], 0
    for word in argv:
        flag = word.partition("=")[0]
        if skip:
            skip -= 1
        elif flag in flags:
            skip = 0 if "=" in word else flags[flag]
        else:
            left.append(word)
    return left


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and names the nearest option if one is unknown."""

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"unrecognized arguments: (\S+)", message):
            flags = sorted(self._option_string_actions)
            message = f"unknown option {unknown[1]}{nearest(unknown[1], flags).split('; known')[0]}"
        raise PlanError(message)


def _parser(description: str | None = None, datasets: str = "") -> argparse.ArgumentParser:
    parser = _Parser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    sections: dict[str, Any] = {"": parser}
    for option in fields(Options):
        name, more = option.metadata["section"], dict(option.metadata["argparse"])
        if name not in sections:
            sections[name] = parser.add_argument_group(name)
        if option.name == "dataset" and datasets:
            more["help"] = datasets
        flags = ["-h"] * (option.name == "help") + [_name(option)]
        sections[name].add_argument(*flags, default=None, **more)
    return parser


def _name(option: Any) -> str:
    """The flag of a field."""
    return "--" + str(option.name).replace("_", "-")
