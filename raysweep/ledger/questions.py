"""How questions are written down: with a hash and the time, so that one that came after its results is known."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from raysweep.experiment import is_of_arm

Written = dict[str, Any]
"""A question's fields, and beside them what `write_down` adds: hash, written, seen, replaces."""

ADDED = ("hash", "written", "seen", "replaces", "altered")


def write_down(
    asked: Iterable[Written], earlier: Iterable[Written], results: Iterable[Mapping[str, Any]], now: str
) -> list[Written]:
    """The questions to keep: the earlier ones, and those asked now that are new or changed.

    To a question are added its `hash`, when it was `written`, the datasets of which results of its arms had been `seen`
    by then, and, where it was changed, the hashes that it `replaces`. `results` are the records of finished runs; those
    that were imported say themselves when they were made. Where nothing is new they are not read.
    """
    known = {question["name"]: question for question in earlier if "name" in question}
    new = [question for question in asked if known.get(question["name"], {}).get("hash") != hash_of(question)]
    there = list(results) if new else []
    for question in new:
        old = known.get(question["name"])
        seen = sorted({str(record.get("dataset")) for record in there if _is_of(question, record)})
        replaces = [*old.get("replaces", ()), *filter(None, [old.get("hash")])] if old else []
        known[question["name"]] = {
            **question,
            "hash": hash_of(question),
            "written": now,
            "seen": seen,
            "replaces": replaces,
        }
    return list(known.values())


def hash_of(question: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of what a question says; fields left empty do not count, so new ones change no hash."""
    said = {name: value for name, value in question.items() if name not in ADDED and value not in (None, "", (), [])}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def is_altered(question: Mapping[str, Any]) -> bool:
    """Whether a question is not what was written down, by its hash."""
    return question.get("hash") != hash_of(question)


def _is_of(question: Written, record: Mapping[str, Any]) -> bool:
    if record.get("imported"):
        return False
    arms = [*question.get("arms", ()), question.get("baseline") or ""]
    return any(is_of_arm(arm, str(record.get("experiment")), record.get("config") or {}) for arm in arms)
