"""In what the arms of a comparison differ beyond the question's factor, and where that makes it senseless."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.comparison import Contrast, values_of, without_effect
from analysis.results import Question, Setting

Rows = Mapping[str, pd.DataFrame]

CODE = {"numerics": "version of the arithmetic", "revision": "code", "torch_version": "torch"}
BATCH = {"num_workers": "workers", "batch_norm_images": "images of a batch norm", "computed_in": "computed in"}
DEVICE = {"device": "device", "device_name": "device"}
"""Columns that say where runs were computed, of which the last that is known counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparability:
    """What a reader of a comparison has to know."""

    flags: tuple[str, ...] = ()
    other_fields: tuple[str, ...] = ()
    """Fields of the configuration beyond the factor in which the arms differ."""
    confounded: bool = False
    """Whether there are any, or the horizons in force differ."""
    refused: str = ""
    """Why there is no comparison."""


def comparability(question: Question, contrast: Contrast, setting: Setting) -> Comparability:
    """Of the runs that a contrast compares."""
    rows = contrast.rows or {}
    about_time = question.get("kind") == "time"
    if refused := "; ".join(_refusals(rows, about_time)):
        return Comparability(refused=refused)
    other = dict(_other_factors(question, rows, setting))
    flags = (
        *other.values(),
        *contrast.flags,
        *_conditions(rows),
        *_early_stops(contrast, rows),
        *_origins(rows, about_time),
    )
    fields = tuple(name for name in other if name in setting.config)
    return Comparability(flags=flags, other_fields=fields, confounded=bool(other))


def horizon_in_force(block_summary: Any) -> str:
    """The largest horizon that restricts a block (`75`), or `all channels` where none does; "" where it is not known.

    The one asked for may be smaller: groups of channels have to divide them.
    """
    if not isinstance(block_summary, list):
        return ""
    restricted = [b["mixing_horizon"] for b in block_summary if b["mixing_horizon"] < b["in_channels"]]
    return str(max(restricted)) if restricted else "all channels"


def stopped_early(run: Mapping[Any, Any], phase: str) -> bool | None:
    """Whether a phase ended before its last epoch for want of progress; None where that is not known."""
    limit: Any = run.get("epochs")
    if phase == "head" and not _missing(run.get("lr_epochs")):
        limit = run["lr_epochs"]
    trained: Any = run.get(f"{phase}_epochs")
    return None if _missing(trained) or _missing(limit) else bool(trained < limit)


def _refusals(rows: Rows, about_time: bool) -> Iterator[str]:
    """Other data, unless they are the authors' (which are not known), and, for times, another device."""
    known = {}
    for label, part in rows.items():
        own = part[part["imported"].isna()] if "imported" in part else part
        known[label] = _distinct(own, "data")
    known = {label: values for label, values in known.items() if values}
    if len(set(known.values())) > 1:
        yield "not the same data"
    if about_time:
        column = next((name for name in reversed(DEVICE) if all(_distinct(part, name) for part in rows.values())), "")
        if column:
            devices = {label: _distinct(part, column) for label, part in rows.items()}
            if _differ(rows, column):
                yield f"times of different devices ({_sides(devices)})"


def _other_factors(question: Question, rows: Rows, setting: Setting) -> Iterator[tuple[str, str]]:
    """What differs and how: fields of the configuration, and the horizon in force where the same one was asked for."""
    factor = set(question.get("factor", ()))
    left_out = {"seed", *factor}.union(*(without_effect(part) for part in rows.values()))
    for name in sorted(setting.config - left_out):
        values = {label: _distinct(part, name, missing=True) for label, part in rows.items()}
        if len(set(values.values())) > 1:
            in_force = f"; in force {_sides(_horizons(rows))}" if name == "mixing_horizon" else ""
            yield name, f"also differs in {name} ({_sides(values)}{in_force})"
    limits = {label: _epoch_limits(part) for label, part in rows.items()}
    known = [limit for found in limits.values() for limit in found]
    if "epochs" in factor and all(limits.values()) and max(known) > UNEQUAL * min(known):
        yield "epochs in all", f"also differs in the epochs of all phases together ({_sides(limits)})"
    horizons = _horizons(rows)
    asked = {_distinct(part, "mixing_horizon", missing=True) for part in rows.values()}
    if (
        "mixing_horizon" not in factor
        and len(asked) == 1
        and len(set(horizons.values())) > 1
        and all(horizons.values())
    ):
        yield "horizon in force", f"also differs in the mixing horizon in force ({_sides(horizons)})"


UNEQUAL = 1.1
"""Recipes whose epochs are closer than this (the authors': 20 and 150 in two phases, 180 joint) are called equal."""


def _epoch_limits(rows: pd.DataFrame) -> tuple[float, ...]:
    """The epochs that runs may have in all phases together; none where that is not known."""
    found = set()
    for run in rows.reindex(columns=["epochs", "lr_epochs", "joint"]).to_dict("records"):
        head = 0 if run["joint"] is True else run["epochs"] if _missing(run["lr_epochs"]) else run["lr_epochs"]
        if not _missing(run["epochs"]) and not _missing(run["joint"]):
            found.add(float(run["epochs"] + head))
    return tuple(sorted(found))


def _horizons(rows: Rows) -> dict[str, tuple[str, ...]]:
    found = {}
    for label, part in rows.items():
        summaries = part.get("block_summary", ())
        found[label] = tuple(sorted(filter(None, {horizon_in_force(summary) for summary in summaries})))
    return found


def _conditions(rows: Rows) -> Iterator[str]:
    """Effective batch, precision, version of the code, and what was done for want of memory."""
    for column, spoken in (BATCH | CODE).items():
        values = {label: _distinct(part, column) for label, part in rows.items()}
        if all(values.values()) and _differ(rows, column):
            yield f"{spoken}: {_sides({label: [str(v)[:12] for v in found] for label, found in values.items()})}"
    for label, part in rows.items():
        if "batch_parts" in part and (cut := int((part["batch_parts"] > 1).sum())):
            yield f"for want of memory {label} had its batches cut in {cut} of {len(part)} runs"


def _early_stops(contrast: Contrast, rows: Rows) -> Iterator[str]:
    """Where some arms were stopped for want of progress and others by the limit of epochs."""
    said = {}
    for label, part in rows.items():
        phases = ["head"] if contrast.metric.startswith("head") else ["finetune", "joint"]
        needed = [name for name in ("epochs", "lr_epochs", *(f"{phase}_epochs" for phase in phases)) if name in part]
        ends = [stopped_early(run, phase) for run in part[needed].to_dict("records") for phase in phases]
        known = [end for end in ends if end is not None]
        trained = part[[name for name in needed if name.endswith("_epochs") and name != "lr_epochs"]].max(axis=1)
        if known:
            said[label] = (sum(known), len(known), float(trained.mean()))
    shares, means = {early / n for early, n, _ in said.values()}, [mean for *_, mean in said.values()]
    if len(said) < len(rows) or len(said) < 2:
        return
    if len(shares) == 1 and shares != {0.0} and max(means) > 1.25 * min(means):
        spoken = ", ".join(f"{label} {mean:.0f}" for label, (*_, mean) in said.items())
        yield f"all stopped before the epoch limit, after epochs: {spoken}"
    if len(shares) > 1:
        spoken = ", ".join(f"{label} {early} of {n}" for label, (early, n, _) in said.items())
        yield f"stopped before the epoch limit: {spoken} runs"


def _origins(rows: Rows, about_time: bool) -> Iterator[str]:
    """Runs of the authors' own code, and for times other machines of the same kind."""
    imported = [label for label, part in rows.items() if "imported" in part and part["imported"].notna().any()]
    if imported and _differ(rows, "imported", pd.notna):
        yield f"imported from the authors' own code: {', '.join(imported)}"
    hosts = {label: _distinct(part, "hostname") for label, part in rows.items()}
    if about_time and all(hosts.values()) and _differ(rows, "hostname"):
        yield f"machines: {_sides(hosts)}"


def _differ(rows: Rows, column: str, of: Callable[[Any], Any] = str) -> bool:
    """Whether the arms' values of a column differ in any pair of runs; without pairs, as a whole."""
    known = [part for part in rows.values() if column in part]
    by_seed = [part.drop_duplicates("seed").set_index("seed")[column].map(of) for part in known]
    if len(by_seed) < len(rows):
        return bool(by_seed)
    repeated = any(part["seed"].duplicated().any() or part["seed"].isna().any() for part in rows.values())
    if repeated or any(set(one.index) != set(by_seed[0].index) for one in by_seed):
        return len({frozenset(part[column].map(of)) for part in rows.values()}) > 1
    return any((one != by_seed[0].reindex(one.index)).any() for one in by_seed[1:])


def _distinct(rows: pd.DataFrame, column: str, missing: bool = False) -> tuple[Any, ...]:
    """The values of a column, without those that are not known unless `missing` asks for them as None."""
    if column not in rows:
        return (None,) if missing else ()
    return tuple(value for value in values_of(rows, column) if missing or value is not None)


def _sides(values: Mapping[str, Any]) -> str:
    """`C none, E 27`."""
    spoken = {
        label: "/".join("none" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in found)
        for label, found in values.items()
    }
    return ", ".join(f"{label} {text or 'not known'}" for label, text in spoken.items())


def _missing(value: Any) -> bool:
    return value is None or (not isinstance(value, list | dict) and bool(pd.isna(value)))
