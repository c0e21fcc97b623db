"""Finds in what the arms of a comparison differ beyond the question's factor, and where that makes it senseless."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.comparison.contrast import Contrast
from analysis.comparison.runs import values_of, without_effect
from analysis.comparison.selection import spoken_selection
from analysis.numbers import is_missing
from analysis.reading.results import Setting
from raysweep.experiment import Confounds, InForce, Phase, Question

RunsByArm = Mapping[str, pd.DataFrame]

CODE = {"numerics": "version of the arithmetic", "revision": "code", "torch_version": "torch"}
DEVICE = {"device": "device", "device_name": "device"}
"""Columns that say where runs were computed, of which the last that is known counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confounding:
    """What a reader of a comparison has to know."""

    flags: tuple[str, ...] = ()
    other_fields: tuple[str, ...] = ()
    """Fields of the configuration beyond the factor in which the arms differ."""
    beyond_factor: bool = False
    """Whether there are any, or the limits in force differ: then runs that differ in the factor alone would tell."""
    confounded: bool = False
    """Whether there are any, the limits in force differ, or some arms alone were stopped early."""
    refused: str = ""
    """Why there is no comparison."""


def confounding(question: Question, contrast: Contrast, setting: Setting) -> Confounding:
    """What the runs that a contrast compares differ in, by what they hold and by what their family says of them."""
    rows, declared = contrast.rows or {}, setting.families.confounds
    about_time = question.kind == "time"
    if refused := "; ".join(_refusals(rows, about_time)):
        return Confounding(refused=refused)
    other = dict(_other_factors(question, rows, declared, setting))
    on_metric = [p for p in declared.phases if p.name in setting.families.metric(contrast.metric).phases]
    stops = dict(_early_stops(rows, on_metric))
    flags = (
        *other.values(),
        *contrast.flags,
        *_conditions(rows, declared),
        *([] if about_time else _devices(rows)),
        *stops,
        *_origins(rows, about_time),
        *spoken_selection(rows, contrast.metric, declared.selected),
    )
    fields = tuple(name for name in other if name in setting.config)
    confounded = bool(other) or any(stops.values())
    return Confounding(flags=flags, other_fields=fields, beyond_factor=bool(other), confounded=confounded)


def in_force(limit: InForce, layers: Any) -> str:
    """The largest limit that restricts a layer (`75`), or what is said where none does; "" where it is not known."""
    if not isinstance(layers, list):
        return ""
    restricted = [layer[limit.limit] for layer in layers if layer[limit.limit] < layer[limit.size]]
    return str(max(restricted)) if restricted else limit.unrestricted


def stopped_early(run: Mapping[Any, Any], phase: Phase) -> bool | None:
    """Whether a phase ended before its last epoch for want of progress; None where that is not known."""
    limit, trained = _limit(run, phase), run.get(phase.trained)
    return None if is_missing(trained) or limit is None else bool(trained < limit)


def _limit(run: Mapping[Any, Any], phase: Phase) -> Any:
    """The most epochs that a phase may take; None where that is not known."""
    return next((run[name] for name in phase.limit if not is_missing(run.get(name))), None)


def _refusals(rows: RunsByArm, about_time: bool) -> Iterator[str]:
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


def _other_factors(
    question: Question, rows: RunsByArm, declared: Confounds, setting: Setting
) -> Iterator[tuple[str, str]]:
    """What differs and how: fields of the configuration, and limits in force where the same one was asked for."""
    factor = set(question.factor)
    left_out = {"seed", *factor}.union(*(without_effect(part) for part in rows.values()))
    limits = {limit.limit: limit for limit in declared.in_force}
    for name in sorted(setting.config - left_out):
        values = {label: _distinct(part, name, missing=True) for label, part in rows.items()}
        if len(set(values.values())) > 1:
            beside = f"; in force {_sides(_in_force(limits[name], rows))}" if name in limits else ""
            yield name, f"also differs in {name} ({_sides(values)}{beside})"
    lengths = {label: _lengths(part, declared.phases) for label, part in rows.items()}
    known = [length for found in lengths.values() for length in found]
    fields = {name for phase in declared.phases for name in phase.limit}
    if fields & factor and all(lengths.values()) and max(known) > UNEQUAL * min(known):
        yield "epochs in all", f"also differs in the epochs of all phases together ({_sides(lengths)})"
    for name, limit in limits.items():
        found = _in_force(limit, rows)
        asked = {_distinct(part, name, missing=True) for part in rows.values()}
        if name not in factor and len(asked) == 1 and len(set(found.values())) > 1 and all(found.values()):
            yield f"{name} in force", f"also differs in the {limit.label} in force ({_sides(found)})"


UNEQUAL = 1.1
"""Recipes whose epochs are closer than this (the authors': 20 and 150 in two phases, 180 joint) are called equal."""


def _lengths(rows: pd.DataFrame, phases: Sequence[Phase]) -> tuple[float, ...]:
    """The epochs that runs may have in all phases together; none where that is not known."""
    names = dict.fromkeys(name for phase in phases for name in (*phase.limit, *phase.where))
    found = set()
    for run in rows.reindex(columns=list(names)).to_dict("records"):
        own = [phase for phase in phases if all(run[name] == value for name, value in phase.where.items())]
        limits = [_limit(run, phase) for phase in own]
        if own and None not in limits:
            found.add(float(sum(limits)))
    return tuple(sorted(found))


def _in_force(limit: InForce, rows: RunsByArm) -> dict[str, tuple[str, ...]]:
    found = {}
    for label, part in rows.items():
        layers = part.get(limit.layers, ())
        found[label] = tuple(sorted(filter(None, {in_force(limit, entry) for entry in layers})))
    return found


def _conditions(rows: RunsByArm, declared: Confounds) -> Iterator[str]:
    """Effective batch, precision, version of the code, and what was done for want of memory."""
    for column, spoken in {"num_workers": "workers", **declared.conditions, **CODE}.items():
        values = {label: _distinct(part, column) for label, part in rows.items()}
        if all(values.values()) and _differ(rows, column):
            yield f"{spoken}: {_sides({label: [str(v)[:12] for v in found] for label, found in values.items()})}"
    for label, part in rows.items():
        if "batch_parts" in part and (cut := int((part["batch_parts"] > 1).sum())):
            yield f"for want of memory {label} had its batches cut in {cut} of {len(part)} runs"


def _devices(rows: RunsByArm) -> Iterator[str]:
    """Accuracies of different kinds of devices, of different GPUs, or with and without TF32."""
    devices = {label: _distinct(part, "device") for label, part in rows.items()}
    if all(devices.values()) and _differ(rows, "device"):
        yield f"device: {_sides(devices)}"
    elif any("cuda" in found for found in devices.values()) and _differ(rows, "device_name"):
        yield f"device: {_sides({label: _distinct(part, 'device_name') for label, part in rows.items()})}"
    spoken = {True: "with", False: "without"}
    products = {label: [spoken[bool(v)] for v in _distinct(part, "tf32")] for label, part in rows.items()}
    if all(products.values()) and _differ(rows, "tf32"):
        yield f"TF32: {_sides(products)}"


def _early_stops(rows: RunsByArm, phases: Sequence[Phase]) -> Iterator[tuple[str, bool]]:
    """Where some arms were stopped for want of progress and others by the limit of epochs, which confounds them; or
    where all were stopped, but at very different epochs."""
    said = {}
    names = dict.fromkeys(name for phase in phases for name in (*phase.limit, phase.trained))
    for label, part in rows.items():
        runs = part[[name for name in names if name in part]].to_dict("records")
        ends = [stopped_early(run, phase) for run in runs for phase in phases]
        known = [end for end in ends if end is not None]
        trained = part[[phase.trained for phase in phases if phase.trained in part]].max(axis=1)
        if known:
            said[label] = (sum(known), len(known), float(trained.mean()))
    shares, means = {early / n for early, n, _ in said.values()}, [mean for *_, mean in said.values()]
    if len(said) < len(rows) or len(said) < 2:
        return
    if len(shares) == 1 and shares != {0.0} and max(means) > 1.25 * min(means):
        spoken = ", ".join(f"{label} {mean:.0f}" for label, (*_, mean) in said.items())
        yield f"all stopped before the epoch limit, after epochs: {spoken}", False
    if len(shares) > 1:
        spoken = ", ".join(f"{label} {early} of {n}" for label, (early, n, _) in said.items())
        yield f"stopped before the epoch limit: {spoken} runs", True


def _origins(rows: RunsByArm, about_time: bool) -> Iterator[str]:
    """Runs of the authors' own code, and for times other machines of the same kind."""
    imported = [label for label, part in rows.items() if "imported" in part and part["imported"].notna().any()]
    if imported and _differ(rows, "imported", pd.notna):
        yield f"imported from the authors' own code: {', '.join(imported)}"
    hosts = {label: _distinct(part, "hostname") for label, part in rows.items()}
    if about_time and all(hosts.values()) and _differ(rows, "hostname"):
        yield f"machines: {_sides(hosts)}"


def _differ(rows: RunsByArm, column: str, of: Callable[[Any], Any] = str) -> bool:
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
