"""Finds the experiments that a command line names, by groups, by a grid, or by names and patterns."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from raysweep.experiment import Experiment, Family
from raysweep.messages import PlanError, nearest
from raysweep.planning.runs import PlannedRun


def select_family(families: Sequence[Family], groups: Sequence[str], only: Sequence[str]) -> Family:
    """The family of the groups or, without groups, the one that has the experiments in `only`.

    Raises PlanError for an unknown group, for groups of several families, and if nothing is named.
    """
    homes = {group.name: family for family in families for group in family.groups}
    for name in groups:
        if name not in homes:
            raise PlanError(f"unknown group {name!r}{nearest(name, list(homes))}")
    chosen = {homes[name].name: homes[name] for name in groups}
    if len(chosen) > 1:
        raise PlanError(f"groups of different families in one sweep: {' and '.join(chosen)}; run them one by one")
    if chosen:
        return next(iter(chosen.values()))
    if not only:
        raise PlanError(f"name a group: --group {{{','.join(homes)}}}, or see --list")
    for family in families:
        if any(fnmatchcase(experiment.name, only[0]) for experiment in family.experiments):
            return family
    names = [experiment.name for family in families for experiment in family.experiments]
    raise PlanError(f"unknown experiment {only[0]!r}{nearest(only[0], names)}")


def select(
    family: Family, groups: Sequence[str], only: Sequence[str], grid: Mapping[str, Sequence[Any]]
) -> tuple[list[Experiment], list[str]]:
    """The experiments of the grid, of the groups, or of the family, reduced to those that `only` names or matches.

    Also returns a line for each combination of the grid that is impossible. Raises PlanError if nothing is left.
    """
    left_out: list[str] = []
    if grid:
        try:
            experiments, left_out = (family.grid or _around(family.experiments[0]))(grid)
        except ValueError as error:  # a name that is too long
            raise PlanError(f"--grid: {error}") from None
        if not experiments:
            raise PlanError(f"--grid leaves nothing to run: {left_out[0]}")
    else:
        members = {name for g in family.groups if g.name in groups or not groups for name in g.experiments}
        experiments = [experiment for experiment in family.experiments if experiment.name in members]
    kept = matching([experiment.name for experiment in experiments], only or ["*"])
    return [experiment for experiment in experiments if experiment.name in kept], left_out


def _around(base: Experiment) -> Callable[[Mapping[str, Sequence[Any]]], tuple[list[Experiment], list[str]]]:
    """A function that makes the experiments that equal `base` except for the values of some fields."""

    def grid(values: Mapping[str, Sequence[Any]]) -> tuple[list[Experiment], list[str]]:
        experiments, left_out = [], []
        for combination in itertools.product(*values.values()):
            fields = dict(zip(values, combination, strict=True))
            spoken = [f"{name}={value}" for name, value in fields.items()]
            try:
                config = replace(base.config, **fields)
            except ValueError as error:
                left_out.append(f"{' '.join(spoken)}: {error}")
                continue
            experiments.append(replace(base, name="_".join(spoken), config=config, why=" ".join(spoken)))
        return experiments, left_out

    return grid


def to_redo(runs: Sequence[PlannedRun], names: Sequence[str]) -> list[PlannedRun]:
    """The planned runs that have one of the names, or whose experiment equals or matches one.

    Raises PlanError for a name of neither.
    """
    of_runs = {run.name for run in runs} & {*names}
    experiments = matching([run.experiment.name for run in runs], [name for name in names if name not in of_runs])
    return [run for run in runs if run.name in of_runs or run.experiment.name in experiments]


def matching(names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """The names that equal or match a pattern. Raises PlanError for a pattern that matches none."""
    kept: set[str] = set()
    for pattern in patterns:
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            raise PlanError(f"unknown experiment {pattern!r} here{nearest(pattern, names)}")
        kept.update(matches)
    return kept
