"""What would settle an undecided question: how many more seeds, what they cost, and the commands that run them."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pandas as pd

from analysis import statistics
from analysis.comparison import NO_SEED, Contrast
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
    values = draft.contrast.values
    seen, smallest = fmean(values), None
    needed: Needed | None
    if len(values) < 2:
        needed, effect = Needed(FIRST_LOOK, None), "how much they vary"
    elif draft.kind == "equivalence":
        needed, effect = _needed(draft, level, draft.margin), f"equality within {draft.margin:g}"
    elif draft.kind == "target":
        target = draft.question["target"]
        needed = _needed(draft, level, abs(seen - target))
        effect = f"on which side of {target:g} a mean of {seen:.2f} is"
    else:
        needed, effect = _needed(draft, level, draft.margin), f"a difference of {_spoken(draft, draft.margin)}"
        if abs(seen) > draft.margin:
            smallest = needed.n - len(values) if needed and needed.n <= MOST_SEEDS else None
            needed = _needed(draft, level, abs(seen))
            effect = f"a difference of {_spoken(draft, seen)}, as large as seen,"
    if not needed or needed.n > MOST_SEEDS:
        return None
    experiments = _experiments(draft)
    seeds = _next_seeds(experiments, draft.contrast.seeds, max(1, needed.n - len(values)))
    return More(
        seeds=len(seeds),
        power=needed.power,
        effect=effect,
        hours=_hours(experiments, seeds),
        command=_command(draft, seeds),
        seeds_for_smallest=smallest,
    )


MOST_SEEDS = 1000
"""More than these are nobody's advice."""

FIRST_LOOK = 3
"""Seeds with which a spread can be seen."""

POWERS = (statistics.POWER, 0.9, 0.95, 0.99)
"""What has stayed undecided with as many seeds as the first asks for is asked with the next."""


def _needed(draft: Draft, level: float, effect: float) -> Needed | None:
    """The seeds in all that show an effect (on the scale of the contrast), more than there are."""
    values = draft.contrast.values
    needs = statistics.seeds_for_equivalence if draft.kind == "equivalence" else statistics.seeds_for_difference
    deviation = statistics.deviation_of(values, draft.contrast.floor)
    accuracy = equal_contrast(draft) if draft.kind == "time" else None
    for power in POWERS:
        if accuracy is None or len(accuracy.values) < 2:
            found = needs(deviation, effect, level, power)
        else:
            found = _both(deviation, effect, accuracy, equal_within(draft.question), level, power)
        if found is None or found.n > len(values):
            return found
    return None


def _both(
    deviation: float, effect: float, accuracy: Contrast, within: float, level: float, power: float
) -> Needed | None:
    """Seeds with which two independent tests both succeed: that of times, and the one-sided one of accuracy."""
    each = math.sqrt(power)
    spread = statistics.deviation_of(accuracy.values, accuracy.floor)
    times = statistics.seeds_for_difference(deviation, effect, level, each)
    equal = statistics.seeds_for_difference(spread, within, 2 * level, each)
    if times is None or equal is None:
        return None
    n = max(times.n, equal.n)
    return Needed(n, statistics.t_power(n, deviation, effect, level) * statistics.t_power(n, spread, within, 2 * level))


def _spoken(draft: Draft, effect: float) -> str:
    return f"{math.expm1(effect):.0%}" if draft.kind == "time" else f"{effect:.3g}"


@dataclass(frozen=True, slots=True)
class _Experiment:
    """One of the experiments behind the arms."""

    finished: frozenset[int]
    diverged: frozenset[int]
    """Seeds that are not to be tried again."""
    tried: frozenset[int]
    seconds: float
    """Mean of a run; NaN where none says how long it took."""


def _experiments(draft: Draft) -> list[_Experiment]:
    setting, rows = draft.setting, draft.contrast.rows or {}
    found = []
    for name in dict.fromkeys(name for part in rows.values() for name in part["experiment"]):
        done = setting.runs[setting.runs["experiment"] == name]
        ended = setting.ended[setting.ended["experiment"] == name]
        diverged = _seeds(ended[ended["status"] == "diverged"])
        tried = _seeds(done) | _seeds(ended)
        found.append(_Experiment(_seeds(done), diverged, tried, float(duration_of(done).mean())))
    return found


def _seeds(rows: pd.DataFrame) -> frozenset[int]:
    return frozenset(int(seed) for seed in rows["seed"] if not pd.isna(seed))


def _next_seeds(experiments: Sequence[_Experiment], paired: Sequence[int], more: int) -> list[int]:
    """Seeds for more pairs: first those that only some experiments have, then the next ones."""
    finished = frozenset().union(*(e.finished for e in experiments))
    diverged = frozenset().union(*(e.diverged for e in experiments))
    tried = frozenset().union(*(e.tried for e in experiments))
    begun = sorted(finished - diverged - set(paired))[:more]
    start = max(tried, default=41) + 1
    return [*begun, *range(start, start + more - len(begun))]


def _hours(experiments: Sequence[_Experiment], seeds: Sequence[int]) -> float | None:
    """Of training, for the runs of these seeds that there are not yet."""
    hours = sum(e.seconds * len(set(seeds) - e.finished) for e in experiments) / 3600
    return None if math.isnan(hours) else hours


def duration_of(runs: pd.DataFrame) -> pd.Series:
    """Seconds that runs took, by their own clock or, without one, from start to end."""
    known = pd.Series(math.nan, index=runs.index)
    for name in ("train_seconds", "seconds"):
        if name in runs:
            known = pd.to_numeric(runs[name], errors="coerce").fillna(known)
    if {"started", "finished"} <= set(runs) and known.isna().any():
        start, end = (pd.to_datetime(runs[name], utc=True, errors="coerce") for name in ("started", "finished"))
        known = known.fillna((end - start).dt.total_seconds())
    return known


def isolating_command(draft: Draft) -> str:
    """The command for runs that differ in the factor alone: those that the question names, or the arm with the
    baseline's other values."""
    rows, seeds = draft.contrast.rows or {}, list(draft.contrast.seeds)
    if named := draft.question.get("isolated_by"):
        return _run(draft, pd.concat(rows.values()), seeds, selection=named)
    base, arm = rows.get(draft.contrast.baseline), rows.get(draft.contrast.arm)
    if base is None or arm is None or not isinstance(draft.question.get("baseline"), str):
        return ""
    changes = {}
    for name in draft.comparable.other_fields:
        value = base[name].iloc[0] if name in base else None
        missing = value is None or (not isinstance(value, list | dict) and pd.isna(value))
        changes[name] = "none" if missing else f"{value:g}" if isinstance(value, float) else str(value)
    return _run(draft, arm, seeds, changes=changes) if changes else ""


def _command(draft: Draft, seeds: Sequence[int]) -> str:
    """What runs more seeds of the arms."""
    return _run(draft, pd.concat((draft.contrast.rows or {}).values()), seeds)


def _run(
    draft: Draft,
    rows: pd.DataFrame,
    seeds: Sequence[int],
    selection: str = "",
    changes: Mapping[str, str] | None = None,
) -> str:
    """The command that runs the experiments of rows, or a selection, with these seeds on their data; "" for runs of the
    authors' own code."""
    if "trainable" not in rows or ("imported" in rows and rows["imported"].notna().any()):
        return ""
    first = rows.iloc[-1]
    fields = dict(field.split("=", 1) for field in str(first.get("set") or "").split(", ") if "=" in field)
    fields |= changes or {}
    parts = ["python run_sweep.py", selection or _named(rows)]
    if seeds and NO_SEED not in seeds:
        parts.append(f"--seeds {_spoken_range(seeds)}")
    if first.get("dataset") != "digits":
        parts += ["--dataset", str(first["dataset"]), "--data-dir", shlex.quote(str(first.get("data_dir")))]
    workers = first.get("num_workers", 1)
    if workers != 1 and not pd.isna(workers):
        parts.append(f"--num-workers {workers:g}")
    if fields:
        parts.append("--set " + " ".join(shlex.quote(f"{name}={value}") for name, value in fields.items()))
    if Path(draft.setting.location) != Path("results").absolute():  # where a sweep goes unless told otherwise
        parts.append(f"--results {shlex.quote(draft.setting.location)}")
    return " ".join(parts)


def _spoken_range(seeds: Sequence[int]) -> str:
    """`3,4`, or of more in a row `3-9`."""
    in_a_row = list(seeds) == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2
    return f"{seeds[0]}-{seeds[-1]}" if in_a_row else ",".join(map(str, seeds))


def _named(rows: pd.DataFrame) -> str:
    """The arguments that name the experiments of runs."""
    names = list(dict.fromkeys(rows["experiment"]))
    selections = Counter(text for text in rows.get("selection", ()) if isinstance(text, str) and text)
    selection = f"{selections.most_common(1)[0][0]} " if selections else ""
    return f"{selection}--only {shlex.quote(','.join(names))}"
