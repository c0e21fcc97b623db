"""What a results folder holds, made sound: whatever does not fit is named in a notice and left out, the rest stays.

Records carry checksums, so what does not fit here comes from another program's trainable or version, not from a disk.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

Entry = dict[str, Any]

NUMBERS = (
    *("n_blocks", "L", "kernel_size", "mixing_horizon", "train_size", "epochs", "lr_epochs", "lr_head", "lr_extractor"),
    *("final_acc", "head_acc", "finetune_acc", "joint_acc", "baseline_acc", "finetune_gain", "head_acc5", "joint_acc5"),
    *("finetune_acc5", "filter_delta_relative", "filter_delta_l2", "seconds", "train_seconds", "pflop", "num_classes"),
    *("test_samples", "actual_train_samples", "image_size", "batch_parts", "n_params_total", "n_params_extractor"),
    *("n_params_classifier", "head_epochs", "finetune_epochs", "joint_epochs", "finetune_images_per_second"),
)
"""Fields of configurations and results that are numbers wherever they occur."""

POSITIVE = ("train_size", "test_samples", "actual_train_samples", "train_seconds", "seconds")
"""Of these, which cannot be zero or less."""

KINDS = ("difference", "equivalence", "trend", "interaction", "time", "target", "search")


def sound_record(record: Mapping[str, Any], notices: list[str]) -> Entry:
    """The record with every field that others rely on, and without values that are none."""
    name = f"{record.get('experiment')} seed {record.get('seed')}"
    sound = {**record, "experiment": str(record.get("experiment")), "dataset": str(record.get("dataset"))}
    sound |= {"set": str(record.get("set") or ""), "group": str(record.get("group") or "")}
    sound |= {"priority": _number(record.get("priority")) or 0, "num_workers": _number(record.get("num_workers")) or 1}
    seed = record.get("seed")
    sound["seed"] = seed if isinstance(seed, int) and not isinstance(seed, bool) else None
    sound["error"] = record.get("error") or ("" if record["status"] == "finished" else "no reason was recorded")
    for part in ("config", "results", "provenance", "facts"):
        values = record.get(part)
        sound[part] = dict(_values(name, values if isinstance(values, dict) else {}, notices))
    for moment in ("started", "finished"):
        if not _is_moment(record.get(moment)):
            sound[moment] = None
    sound["curves"] = _curves(record.get("curves"))
    blocks = sound["results"].get("block_summary")
    if blocks is not None and not _are_blocks(blocks):
        del sound["results"]["block_summary"]
    return sound


def sound_questions(questions: object, notices: list[str]) -> list[Entry]:
    """The questions that can be answered."""
    return list(_kept(questions, "question", _wrong_with_question, notices))


def sound_plan(plan: object, notices: list[str]) -> list[Entry]:
    """The planned runs that can be told apart."""

    def wrong(entry: Entry) -> str:
        missing = [name for name in ("run", "experiment", "dataset") if not isinstance(entry.get(name), str)]
        return f"has no {missing[0]}" if missing else "" if isinstance(entry.get("seed"), int) else "has no seed"

    return list(_kept(plan, "planned run", wrong, notices))


def _kept(entries: object, what: str, wrong: Callable[[Entry], str], notices: list[str]) -> Iterator[Entry]:
    if not isinstance(entries, list):
        notices.append(f"the list of {what}s is none, left out")
        return
    for entry in entries:
        reason = wrong(entry) if isinstance(entry, dict) else "is none"
        if reason:
            named = entry.get("name") or entry.get("run") if isinstance(entry, dict) else entry
            notices.append(f"{what} {str(named)[:60]!r} {reason}, left out")
        else:
            yield entry


def _wrong_with_question(question: Entry) -> str:
    for name in ("name", "text"):
        if not isinstance(question.get(name), str):
            return f"has no {name}"
    kind = question.setdefault("kind", "difference")
    if kind not in KINDS:
        return f"is of the unknown kind {kind!r}"
    arms = question.get("arms")
    if not isinstance(arms, list | tuple) or not arms or not all(map(_is_arm, arms)):
        return "has no arms"
    if not _is_arm(question.setdefault("baseline", "")):
        return "has a baseline that is none"
    metrics = question.get("metrics")
    if not isinstance(metrics, list | tuple) or not metrics or not all(isinstance(m, str) for m in metrics):
        return "has no metrics"
    if kind == "interaction" and len(arms) != 3:
        return f"is about an interaction and has {len(arms)} arms, not 3"
    if kind in ("difference", "equivalence", "interaction", "time") and not question["baseline"]:
        return "has no baseline"
    if kind == "time" and not isinstance(question.get("equal"), str):
        return "does not say which metric has to be equal"
    if kind in ("target", "search") and _number(question.get("target")) is None:
        return "has no target"
    if kind == "search" and not isinstance(question.get("search"), dict):
        return "has no search"
    for name, default in (("smallest_effect", 0.5), ("equal_within", 0.5)):
        if _number(question.setdefault(name, default)) is None:
            return f"has no {name}"
    if not isinstance(question.setdefault("over", "train_size"), str) or not question["over"]:
        return "does not say over which field its trend is"
    if "hash" in question and not _is_moment(question.get("written")):
        del question["hash"]  # nobody can say when it was written down
    return ""


def _is_arm(arm: object) -> bool:
    if isinstance(arm, dict):
        return isinstance(arm.get("label"), str) and isinstance(arm.get("fields"), dict)
    return isinstance(arm, str)


def _values(name: str, values: Mapping[str, Any], notices: list[str]) -> Iterator[tuple[str, Any]]:
    """Numbers that are finite, and whatever is not expected to be one."""
    for field, value in values.items():
        known = _number(value)
        is_none = isinstance(value, float) and not math.isfinite(value)
        misfit = field in NUMBERS and value is not None and (known is None or (field in POSITIVE and known <= 0))
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
    """By phase, the points that are numbers by name."""
    if not isinstance(curves, dict):
        return {}
    return {phase: list(_points(curve)) for phase, curve in curves.items() if isinstance(curve, list)}


def _points(curve: Iterable[object]) -> Iterator[Entry]:
    for point in curve:
        if isinstance(point, dict):
            yield {name: value for name, value in point.items() if _number(value) is not None}


def _are_blocks(blocks: object) -> bool:
    if not isinstance(blocks, list):
        return False
    fields = ("mixing_horizon", "in_channels")
    return all(isinstance(b, dict) and all(_number(b.get(field)) is not None for field in fields) for b in blocks)
