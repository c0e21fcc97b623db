"""Works out which experiments a command line asks for, on which data and with which fields changed."""

import dataclasses
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raysweep.experiment import Experiment, Family, Question
from raysweep.ledger import Ledger, Record, write_declarations, write_plan
from raysweep.messages import PlanError, nearest
from raysweep.planning.options import Options
from raysweep.planning.resources import Resources
from raysweep.planning.runs import PlannedRun, in_order, make_runs
from raysweep.planning.selection import select

ParseValues = Callable[[type[Any], Mapping[str, str]], dict[str, Any]]
"""Turns the texts of some fields of a configuration class into values. Raises ValueError with a one-line message."""

MOST_RUNS = 100_000
"""A command can ask for at most this many points of a grid, and runs."""

OWN_FLAG = {"dataset": "--dataset", "data_dir": "--data-dir", "seed": "--seeds", "save_dir": "--results"}
"""Fields that have a flag of their own, so that neither --set nor --grid may name them, with these flags."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec:
    """What one command line asks for, as far as it depends on neither the results nor the machine."""

    options: Options
    family: Family
    question: Question | None
    """The question whose search chooses the runs, or None if all are planned beforehand."""
    grid: Mapping[str, Sequence[Any]]
    """The values of --grid by field."""
    overrides: Mapping[str, Any]
    """The values that --set, --dataset and --data-dir put into every configuration, by field."""
    data: str
    """Describes the data in words for the user."""

    @property
    def questions(self) -> list[Question]:
        """The questions that the runs are to answer, as they are written into the results folder."""
        asked = [self.question] if self.question else [q for q in self.family.questions if q.kind != "search"]
        return [self.family.asked(question) for question in asked]

    @property
    def by_rounds(self) -> bool:
        """Whether results decide which runs it does."""
        return bool(self.question) or self.options.until_answered

    @property
    def selection(self) -> str:
        """The arguments that name the group or grid, without those that choose among its runs or say how they run."""
        file = self.options.space
        given = {
            "--space": [str(Path(file).absolute())] if file else [],
            "--group": self.options.group,
            "--grid": [f"{n}={text}" for n, text in self.options.grid.items()],
        }
        return " ".join(f"{flag} {shlex.join(words)}" for flag, words in given.items() if words)

    def make(
        self, experiments: Sequence[Experiment], seeds: Sequence[int] | None, ledger: Ledger, resources: Resources
    ) -> list[PlannedRun]:
        """Plan experiments, without `seeds` for their own seeds. Raises PlanError for a run that is impossible."""
        return make_runs(
            experiments,
            ledger,
            family=self.family,
            overrides=self.overrides,
            seeds=seeds,
            num_workers=self.options.num_workers,
            gpus=resources.gpus,
            group=self.options.group[0] if self.question else "",
            selection=self.selection,
            keep_last=self.options.keep_last,
        )

    def write_plan(self, ledger: Ledger, planned: list[Record], *, joining: bool = False) -> None:
        """Write down what is to run, what it is to answer, and what its family says of the results.

        With `joining`, the runs join the plan that is there.
        """
        write_plan(ledger, planned, self.questions, joining=joining)
        write_declarations(ledger, [self.family.declaration])

    def plan(self, ledger: Ledger, resources: Resources) -> list[PlannedRun]:
        """The runs in the order in which they start; for a search, one run of each experiment, at its first value.

        Impossible points of a grid are left out, and the reason is printed. Raises PlanError for a run that is
        impossible, and for one that does not fit into the resources unless the plan may be for another machine.
        """
        options = self.options
        experiments, left_out = select(self.family, options.group, options.only, self.grid)
        seeds = [0] if self.question else options.seeds
        number = sum(len(experiment.seeds if seeds is None else seeds) for experiment in experiments)
        if number > MOST_RUNS:
            raise PlanError(f"{number} runs are too many for one command, which can have {MOST_RUNS}")
        runs: list[PlannedRun] = []
        for part in [[experiment] for experiment in experiments] if self.grid else [experiments]:
            try:
                runs += self.make(part, seeds, ledger, resources)
            except PlanError as error:
                if not self.grid:
                    raise
                left_out.append(str(error))
        if not runs:
            raise PlanError(f"--grid leaves nothing to run: {left_out[0]}")
        if not options.plan:
            resources.require_room(runs, options.gpus_per_worker)
        for line in left_out:
            print(f"left out: {line}", file=sys.stderr if options.plan or options.print_commands else sys.stdout)
        return in_order(runs, breadth_first=options.breadth_first)


def sweep_spec(options: Options, family: Family, parse_values: ParseValues) -> SweepSpec:
    """Work out what the options ask of a family. Raises PlanError for unknown names and for options that conflict."""
    question = _searched(options, family)
    if options.preempt and (question or options.redo):
        raise PlanError("--preempt goes with neither a search nor --redo")
    config = type(family.experiments[0].config)
    try:
        overrides, data = _data(options, family, parse_values(config, options.set))
        grid = _grid_axes(options, config, parse_values)
    except PlanError:
        raise
    except ValueError as error:
        raise PlanError(str(error)) from None
    return SweepSpec(options=options, family=family, question=question, grid=grid, overrides=overrides, data=data)


def _searched(options: Options, family: Family) -> Question | None:
    """The question whose search chooses the group's runs, with the --target given, or None if there is none."""
    names = options.group
    search = next((group.search for group in family.groups if group.name in names and group.search), None)
    if not search:
        if options.target is not None:
            raise PlanError("--target is for a group that searches, such as epochs-to-target")
        return None
    if len(names) > 1:
        raise PlanError(f"one of {' and '.join(names)} is a search; run them one by one")
    question = next(question for question in family.questions if question.name == search)
    over = question.search.over if question.search else ""
    if over in {*options.set, *options.grid}:
        raise PlanError(f"{over} is what {names[0]} searches; leave it out of --set and --grid")
    if options.target is None:
        return question
    return replace(question, name=f"{search}_{options.target:g}", target=options.target)


def _grid_axes(options: Options, config: type[Any], parse_values: ParseValues) -> dict[str, list[Any]]:
    """The values of --grid by field. Raises PlanError for repeated values and fields that another flag sets."""
    number = math.prod(text.count(",") + 1 for text in options.grid.values())
    if number > MOST_RUNS:
        raise PlanError(f"--grid has {number} points, which are too many for one command; the most is {MOST_RUNS}")
    axes = {}
    for name, text in options.grid.items():
        _require_free(name, "--grid")
        if name in options.set:
            raise PlanError(f"{name} is set by both --grid and --set")
        axes[name] = [parse_values(config, {name: value})[name] for value in text.split(",")]
        if len(set(axes[name])) < len(axes[name]):
            raise PlanError(f"--grid {name}={text} repeats a value")
    return axes


def _require_free(name: str, flag: str) -> None:
    """Raises PlanError for a field that has a flag of its own."""
    if name in OWN_FLAG:
        raise PlanError(f"{name} is set by {OWN_FLAG[name]}, not by {flag}")


def _data(options: Options, family: Family, overrides: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the overrides with the data's fields added, and a line that describes the data.

    Raises PlanError for a dataset that the family does not take, and whatever `family.locate` raises.
    """
    for name in overrides:
        _require_free(name, "--set")
    known, fields = family.all_datasets, {f.name for f in dataclasses.fields(family.experiments[0].config)}
    dataset = options.dataset or (family.dataset if options.data_dir else known[0])
    if dataset not in known:
        close = nearest(dataset, known).partition("; known")[0]
        takes = f"{close} It takes" if close else "; it takes"
        raise PlanError(f"{family.name} takes no dataset {dataset!r}{takes} {', '.join(known)}")
    if family.locate is None and options.data_dir:
        raise PlanError(f"{family.name} takes no --data-dir: its data are no files")
    said = f"Data: {family.locate(dataset, options.data_dir) if family.locate else dataset}"
    data = {"dataset": dataset, "data_dir": options.data_dir}
    data = {name: value for name, value in data.items() if name in fields}
    if dataset == family.dataset or dataset != known[0]:
        return {**overrides, **data}, said
    own = {name: value for name, value in family.embedded.items() if name not in {*overrides, *options.grid}}
    defaults = ", ".join(f"{name}={value}" for name, value in own.items())
    said += f", with their own defaults {defaults}" if own else ""
    return {**own, **overrides, **data}, f"{said}; other data by --dataset and --data-dir"
