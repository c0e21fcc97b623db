"""Says which questions get their runs within --budget-hours, if runs are done in the order of the plan."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from raysweep.experiment import Question, is_of_arm
from raysweep.forecasts.machine import Machine
from raysweep.forecasts.planning import PlanRow
from raysweep.forecasts.schedule import FIRST_START_SECONDS, START_SECONDS
from raysweep.messages import enumerated
from raysweep.planning import PlannedRun, ends_of, in_bundles

NAMED = 6
"""A line names at most this many questions."""


def purchase_lines(
    rows: Sequence[PlanRow], questions: Sequence[Question], machine: Machine, hours: float, of_slots: bool
) -> Iterator[str]:
    """Lines about the questions that get all of their runs within so many hours (or hours of slots), or a part."""
    there = runs_within(rows, machine, 3600 * hours, of_slots=of_slots)
    runs = {row.run.experiment.name: row.run for row in rows}
    configs = {name: asdict(run.config) for name, run in runs.items()}
    parts = [(question.name, *_seeds(question, rows, configs, there)) for question in questions]
    whole = [name for name, have, planned in parts if planned and have == planned]
    some = [f"{name} ({have} of {planned} seeds)" for name, have, planned in parts if 0 < have < planned]
    asked = sum(planned > 0 for *_, planned in parts)
    yield (
        f"--budget-hours {hours:g}{'gpu' * of_slots} pays for all runs of {len(whole)} of {asked} "
        f"question{'s' * (asked != 1)}{_named(whole)}"
    )
    if some:
        yield f"  for a part{_named(some)}"
    if unknown := sum(row.to_do and row.forecast.seconds is None for row in rows):
        yield f"  left out: {unknown} run{'s' * (unknown != 1)} of unknown speed (--calibrate measures them)"


def runs_within(rows: Sequence[PlanRow], machine: Machine, seconds: float, *, of_slots: bool) -> set[str]:
    """The keys of the runs that are there, or will have ended after so many seconds, or slots times seconds."""
    first = {row.run.key: row for row in reversed(rows)}
    todo = [row for row in rows if row.to_do and first[row.run.key] is row and row.forecast.seconds is not None]
    forecast = {row.run.name: row.forecast.seconds or 0.0 for row in todo}
    trials = [(part, [forecast[run.name] for run in part]) for part in in_bundles([row.run for row in todo])]
    there = {row.run.key for row in rows if row.state == "done"}
    for (part, each), end in zip(trials, _ends(trials, machine, of_slots=of_slots), strict=True):
        after = [end - sum(each) + done for done in itertools.accumulate(each)]
        there |= {run.key for run, ended in zip(part, after, strict=True) if ended <= seconds}
    return there


def _ends(
    trials: Sequence[tuple[Sequence[PlannedRun], Sequence[float]]], machine: Machine, *, of_slots: bool
) -> list[float]:
    """When each trial ends: in seconds or, with `of_slots`, in slots times seconds that it and all before it took."""
    slots = [machine.slots_of(part[0]) for part, _ in trials]
    if of_slots:
        return list(itertools.accumulate(need * sum(each) for need, (_, each) in zip(slots, trials, strict=True)))
    lasting = [(sum(each) + START_SECONDS, need) for need, (_, each) in zip(slots, trials, strict=True)]
    return [FIRST_START_SECONDS + end for end in ends_of(lasting, machine.slots)]


def _seeds(
    question: Question, rows: Sequence[PlanRow], configs: Mapping[str, Mapping[str, Any]], there: set[str]
) -> tuple[int, int]:
    """With how many seeds all runs of a question will be there, and with how many they are planned; (0, 0) where one of
    its arms is not. `configs` are the configurations of the experiments."""
    arms = [arm for arm in (question.baseline, *question.arms) if arm]
    of_arms = [{name for name, config in configs.items() if is_of_arm(arm, name, config)} for arm in arms]
    if not all(of_arms) or question.dataset not in (None, *(row.run.dataset for row in rows)):
        return 0, 0
    names = set().union(*of_arms)
    by_seed: dict[int, list[bool]] = {}
    for row in rows:
        if row.run.experiment.name in names:
            by_seed.setdefault(row.run.config.seed, []).append(row.run.key in there)
    return sum(map(all, by_seed.values())), len(by_seed)


def _named(names: Sequence[str]) -> str:
    """`: a, b`; "" for none."""
    return f"{': ' * bool(names)}{enumerated(names, NAMED)}"
