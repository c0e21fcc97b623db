"""What a results folder holds, made sound: whatever does not fit is named in a notice and left out; the rest stays.

Records carry checksums, so what does not fit here comes from another program's trainable or version, not from a disk.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import pandas as pd

from analysis.reading.selection import last_epochs
from raysweep.experiment import Declaration
from raysweep.ledger import WrittenQuestion, data_set_of, read_declaration, read_question

Entry = dict[str, Any]
T = TypeVar("T")

NUMBERS = (
    *("n_blocks", "L", "kernel_size", "mixing_horizon", "train_size", "epochs", "lr_epochs", "lr_head", "lr_extractor"),
    *("num_classes", "test_samples", "actual_train_samples", "image_size", "batch_parts", "n_params_extractor"),
    *("n_params_classifier", "head_epochs", "finetune_epochs", "joint_epochs"),
)
"""Fields of configurations and results that are numbers wherever they occur, beside the metrics of the families."""

POSITIVE = ("train_size", "test_samples", "actual_train_samples", "train_seconds", "seconds")
"""Numbers that cannot be zero or less."""


def sound_record(record: Mapping[str, Any], families: Sequence[Declaration], notices: list[str]) -> Entry:
    """The record with every field that others rely on, and without values that are none."""
    numbers = {*NUMBERS, *(number for declaration in families for number in _numbers_of(declaration))}
    name = f"{record.get('experiment')} seed {record.get('seed')}"
    sound = {**record, "experiment": str(record.get("experiment")), "dataset": str(record.get("dataset"))}
    sound |= {"set": str(record.get("set") or ""), "group": str(record.get("group") or "")}
    sound |= {"priority": _number(record.get("priority")) or 0, "num_workers": _number(record.get("num_workers")) or 1}
    seed = record.get("seed")
    sound["seed"] = seed if isinstance(seed, int) and not isinstance(seed, bool) else None
    sound["error"] = record.get("error") or ("" if record["status"] == "finished" else "no reason was recorded")
    for part in ("config", "results", "provenance", "facts"):
        values = record.get(part)
        sound[part] = dict(_values(name, values if isinstance(values, dict) else {}, numbers, notices))
    for moment in ("started", "finished"):
        if not _is_moment(record.get(moment)):
            sound[moment] = None
    sound["curves"] = _curves(record.get("curves"))
    sound["results"] |= last_epochs(sound, families)
    for limit in (limit for declaration in families for limit in declaration.confounds.in_force):
        layers = sound["results"].get(limit.layers)
        if layers is not None and not _are_layers(layers, (limit.limit, limit.size)):
            del sound["results"][limit.layers]
    return sound


def declared_dataset(run: Mapping[str, Any] | pd.Series) -> str:
    """What --dataset and questions call the data of a row of the frame of runs, however they were prepared."""
    name, prepared = str(run["dataset"]), run.get("prepared")
    return name.removesuffix(f" ({prepared})") if isinstance(prepared, str) else name


def sound_questions(entries: Iterable[Entry], notices: list[str]) -> list[WrittenQuestion]:
    """The questions that can be answered."""
    return list(_read_each(entries, read_question, notices))


def sound_families(entries: Iterable[Entry], notices: list[str]) -> list[Declaration]:
    """What families.json says."""
    return list(_read_each(entries, read_declaration, notices))


def sound_plan(content: object, notices: list[str]) -> list[Entry]:
    """The planned runs that can be told apart."""
    if not isinstance(content, list):
        notices.append("plan.json holds no list of runs, left out")
        return []
    return list(_read_each(content, _read_planned, notices))


def _read_each(entries: Iterable[Entry], read: Callable[[Entry], T], notices: list[str]) -> Iterator[T]:
    for entry in entries:
        try:
            yield read(entry)
        except ValueError as error:
            notices.append(f"{error}, left out")


def _read_planned(entry: Entry) -> Entry:
    """Raises ValueError for what is no planned run."""
    if not isinstance(entry, dict):
        raise ValueError(f"planned run {str(entry)[:60]!r} is no object")
    texts = ("run", "experiment", "dataset")
    missing = [name for name in texts if not isinstance(entry.get(name), str)]
    missing += ["seed"] * (not isinstance(entry.get("seed"), int))
    if missing:
        raise ValueError(f"planned run {str(entry.get('run'))[:60]!r} has no {missing[0]}")
    return {**entry, "dataset": data_set_of(entry)}


def _numbers_of(declaration: Declaration) -> Iterator[str]:
    yield from (metric.name for metric in declaration.metrics)
    for phase in declaration.confounds.phases:
        yield from (phase.trained, *phase.limit)


def _values(name: str, values: Mapping[str, Any], numbers: set[str], notices: list[str]) -> Iterator[tuple[str, Any]]:
    """Numbers that are finite, and whatever is not expected to be one."""
    for field, value in values.items():
        known = _number(value)
        is_none = isinstance(value, float) and not math.isfinite(value)
        misfit = field in numbers and value is not None and (known is None or (field in POSITIVE and known <= 0))
        if is_none or misfit:
            notices.append(f"{name}: {field} is {str(value)[:40]}, left out")
            yield field, None
        else:
            yield field, value


def _number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _is_moment(value: object) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str)


def _curves(curves: object) -> Entry:
    """The points of each phase, as far as they are numbers by name."""
    if not isinstance(curves, dict):
        return {}
    return {phase: list(_points(curve)) for phase, curve in curves.items() if isinstance(curve, list)}


def _points(curve: Iterable[object]) -> Iterator[Entry]:
    for point in curve:
        if isinstance(point, dict):
            yield {name: value for name, value in point.items() if _number(value) is not None}


def _are_layers(layers: object, fields: Sequence[str]) -> bool:
    """Whether each layer has these numbers."""
    if not isinstance(layers, list):
        return False
    return all(isinstance(layer, dict) and all(_number(layer.get(f)) is not None for f in fields) for layer in layers)
