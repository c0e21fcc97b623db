"""What would settle an undecided question: how many more seeds, what they cost, and the commands that run them."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd

from analysis import statistics
from analysis.draft import Draft, equal_contrast, equal_within
from analysis.statistics import Needed


@dataclass(frozen=True, kw_only=True, slots=True)
class More:
    """What would settle an undecided question."""

    seeds: int
    """Pairs in addition to those that there are."""
    power: float | None
    """Of the test with all of them, if the variance stays what it was; None where one seed shows none."""
    effect: str
    """What they would show."""
    hours: float | None
    """Of training, over all their runs; None where no run says how long it took."""
    command: str
    """"" where the runs are the authors' own."""
    seeds_for_smallest: int | None = None
    """Where they would show a difference as large as the one seen: how many would show the smallest that matters."""


def more_seeds(draft: Draft, level: float) -> More | None:
    """How many more seeds would settle it with the variance seen, and their cost.

    They show a difference as large as the one seen, or, where that is larger, the smallest that matters.
    """
    values, paired = draft.contrast.values, draft.contrast.seeds
    rows = draft.contrast.rows or {}
    needed: Needed | None
    if len(values) < 2:
        needed, effect = Needed(FIRST_LOOK, None), "how much they vary"
    elif draft.kind == "target":
        target = draft.question["target"]
        n = statistics.runs_needed(values, target, 1 - level)
        needed, effect = Needed(n, None) if n else None, f"on which side of {target:g} the mean is, if it stays"
    else:
        needed, effect = _needed(draft, level, draft.margin), _spoken_effect(draft, draft.margin)
    seen, smallest = abs(fmean(values)), None
    if len(values) > 1 and draft.kind not in ("target", "equivalence") and seen > draft.margin:
        smallest = needed.n - len(values) if needed else None
        needed, effect = _needed(draft, level, seen), f"{_spoken_effect(draft, seen)}, as large as seen,"
    if not needed:
        return None
    seeds = _next_seeds(rows, paired, max(1, needed.n - len(values)))
    return More(
        seeds=len(seeds),
        power=needed.power,
        effect=effect,
        hours=_hours(rows, seeds),
        command=_command(draft, seeds),
        seeds_for_smallest=smallest,
    )


FIRST_LOOK = 3
"""Seeds with which a spread can be seen."""

POWERS = (statistics.POWER, 0.9, 0.95, 0.99)
"""What has stayed undecided with as many seeds as the first asks for is asked with the next."""


def _needed(draft: Draft, level: float, effect: float) -> Needed | None:
    """The seeds in all that show an effect (on the scale of the contrast), more than there are."""
    values = draft.contrast.values
    needs = statistics.seeds_for_equivalence if draft.kind == "equivalence" else statistics.seeds_for_difference
    accuracy = equal_contrast(draft).values if draft.kind == "time" else ()
    for power in POWERS:
        found = [needs(stdev(values), effect, level, power)]
        if len(accuracy) > 1:  # a one-sided test of accuracy besides
            within = equal_within(draft.question)
            found.append(statistics.seeds_for_difference(stdev(accuracy), within, 2 * level, power))
        if any(needed is None for needed in found):
            return None
        most = max((needed for needed in found if needed), key=lambda needed: needed.n)
        if most.n > len(values):
            return most
    return None


def _spoken_effect(draft: Draft, effect: float) -> str:
    spoken = f"{math.expm1(effect):.0%}" if draft.kind == "time" else f"{effect:.3g}"
    return f"equality within {spoken}" if draft.kind == "equivalence" else f"a difference of {spoken}"


def _next_seeds(rows: Mapping[str, pd.DataFrame], paired: Sequence[int], more: int) -> list[int]:
    """Seeds for more pairs: first those that some arm has already, then the next ones."""
    known = {int(seed) for part in rows.values() for seed in part["seed"] if not pd.isna(seed)}
    begun = sorted(known - set(paired))[:more]
    start = max(known, default=41) + 1
    return [*begun, *range(start, start + more - len(begun))]


def _hours(rows: Mapping[str, pd.DataFrame], seeds: Sequence[int]) -> float | None:
    """Of training, for one run of each of the arms' experiments with each seed."""
    total = 0.0
    for part in rows.values():
        for _, runs in part.groupby("experiment"):
            seconds = duration_of(runs).dropna()
            if seconds.empty:
                return None
            total += float(seconds.mean()) * len(seeds)
    return total / 3600


def duration_of(runs: pd.DataFrame) -> pd.Series:
    """Seconds that runs took, by their own clock or, without one, from start to end."""
    known = pd.Series(math.nan, index=runs.index)
    for name in ("train_seconds", "seconds"):
        if name in runs:
            known = pd.to_numeric(runs[name]).fillna(known)
    if {"started", "finished"} <= set(runs) and known.isna().any():
        start, end = (pd.to_datetime(runs[name], utc=True, errors="coerce") for name in ("started", "finished"))
        known = known.fillna((end - start).dt.total_seconds())
    return known


def isolating_command(draft: Draft) -> str:
    """The command for runs that differ in the factor alone: those that the question names, or the arm with the
    baseline's other values."""
    if named := draft.question.get("isolated_by"):
        return f"python run_sweep.py {named}"
    rows, setting = draft.contrast.rows or {}, draft.setting
    base, arm = rows.get(draft.contrast.baseline), rows.get(draft.contrast.arm)
    if base is None or arm is None or not isinstance(draft.question.get("baseline"), str):
        return ""
    left_out = {"seed", "dataset", *draft.question.get("factor", ())}
    names = sorted(setting.config - left_out)
    changes = []
    for flag in draft.comparable.flags:
        name = next((n for n in names if flag.startswith(f"also differs in {n} (")), None)
        if name:
            value = base[name].iloc[0]
            changes.append(
                f"{name}={'none' if pd.isna(value) else f'{value:g}' if isinstance(value, float) else value}"
            )
    if not changes:
        return ""
    return f"python run_sweep.py {_named(arm)} --set {' '.join(map(shlex.quote, changes))}"


def _command(draft: Draft, seeds: list[int]) -> str:
    """What runs more seeds of the arms."""
    rows = draft.contrast.rows or {}
    together = pd.concat(rows.values())
    if "trainable" not in together or ("imported" in together and together["imported"].notna().any()):
        return ""
    first = together.iloc[-1]
    run = seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2
    spoken = f"{seeds[0]}-{seeds[-1]}" if run else ",".join(map(str, seeds))
    parts = ["python run_sweep.py", _named(together), f"--seeds {spoken}"]
    if first.get("dataset") != "digits":
        parts += ["--dataset", str(first["dataset"]), "--data-dir", shlex.quote(str(first.get("data_dir")))]
    if first.get("num_workers", 1) != 1:
        parts.append(f"--num-workers {first['num_workers']:g}")
    if first.get("set"):
        parts.append("--set " + " ".join(shlex.quote(value) for value in str(first["set"]).split(", ")))
    if Path(draft.setting.location) != Path("results").absolute():  # where a sweep goes unless told otherwise
        parts.append(f"--results {shlex.quote(draft.setting.location)}")
    return " ".join(parts)


def _named(rows: pd.DataFrame) -> str:
    """The arguments that name the experiments of runs."""
    names = list(dict.fromkeys(rows["experiment"]))
    selections = Counter(text for text in rows.get("selection", ()) if isinstance(text, str) and text)
    selection = f"{selections.most_common(1)[0][0]} " if selections else ""
    return f"{selection}--only {shlex.quote(','.join(names))}"
