"""How questions are written down: with a hash and the time, so that one that came after its results is known."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Written = dict[str, Any]
"""A question's fields, and beside them what `write_down` adds: hash, written, seen, replaces."""

ADDED = ("hash", "written", "seen", "replaces", "altered")


def write_down(
    asked: Iterable[Written], earlier: Iterable[Written], results: Sequence[Mapping[str, Any]], now: str
) -> list[Written]:
    """The questions to keep: the earlier ones, and those asked now that are new or changed.

    To a question are added its `hash`, when it was `written`, the datasets of which results of its arms had been `seen`
    by then, and, where it was changed, the hashes that it `replaces`. `results` are the records of finished runs; those
    that were imported say themselves when they were made.
    """
    known = {question["name"]: question for question in earlier if "name" in question}
    for question in asked:
        old, digest = known.get(question["name"]), hash_of(question)
        if old and old.get("hash") == digest:
            continue
        seen = sorted({str(record.get("dataset")) for record in results if _is_of(question, record)})
        replaces = [*old.get("replaces", ()), *filter(None, [old.get("hash")])] if old else []
        known[question["name"]] = {**question, "hash": digest, "written": now, "seen": seen, "replaces": replaces}
    return list(known.values())


def hash_of(question: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of what a question says; fields left empty do not count, so new ones change no hash."""
    said = {name: value for name, value in question.items() if name not in ADDED and value not in (None, "", (), [])}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def is_altered(question: Mapping[str, Any]) -> bool:
    """Whether a question is not what was written down, by its hash."""
    return question.get("hash") != hash_of(question)


def is_of_arm(arm: str | Mapping[str, Any], experiment: str, config: Mapping[str, Any]) -> bool:
    """Whether a run belongs to an arm: the name of an experiment, or the fields of a filter."""
    if isinstance(arm, str):
        return bool(arm) and experiment == arm
    return all(config.get(name) == value for name, value in arm["fields"].items())


def _is_of(question: Written, record: Mapping[str, Any]) -> bool:
    if record.get("imported"):
        return False
    arms = [*question.get("arms", ()), question.get("baseline") or ""]
    return any(is_of_arm(arm, str(record.get("experiment")), record.get("config") or {}) for arm in arms)
