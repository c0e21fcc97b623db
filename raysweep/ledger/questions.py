"""Writes questions down with a hash and the time, which show whether a question was asked after its results."""

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from raysweep.experiment import Question, is_of_arm
from raysweep.ledger.plain import from_plain
from raysweep.ledger.record_files import data_set_of

Written = dict[str, Any]
"""An entry of questions.json: a question's fields, and beside them what `write_down` adds."""

ADDED = ("hash", "written", "seen", "replaces", "altered")


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenQuestion:
    """A question with what is known of its being written down."""

    question: Question
    hash: str = ""
    """"" for a question that nobody wrote down."""
    written: str = ""
    """When."""
    seen: tuple[str, ...] = ()
    """The data, as `data_set_of` calls them, of which there were results of its arms by then."""
    replaces: tuple[str, ...] = ()
    """The hashes of what it said before."""
    altered: bool = False
    """Whether it is not what was written down, by its hash."""


def write_down(
    asked: Iterable[Question], earlier: Iterable[Written], results: Iterable[Mapping[str, Any]], now: str
) -> list[Written]:
    """The questions to keep: the earlier ones, and those asked now that are new or changed.

    To a question are added its `hash`, when it was `written`, the datasets of which results of its arms had been `seen`
    by then, and, where it was changed, the hashes that it `replaces`. `results` are the records of finished runs; those
    that were imported say themselves when they were made. Where nothing is new they are not read.
    """
    known = {question["name"]: question for question in earlier if "name" in question}
    new = [q for q in asked if known.get(q.name, {}).get("hash") != hash_of(asdict(q))]
    there = list(results) if new else []
    for question in new:
        old = known.get(question.name)
        seen = sorted({data_set_of(record) for record in there if _is_of(question, record)})
        replaces = [*old.get("replaces", ()), *filter(None, [old.get("hash")])] if old else []
        content = asdict(question)
        known[question.name] = {
            **content,
            "hash": hash_of(content),
            "written": now,
            "seen": seen,
            "replaces": replaces,
        }
    return list(known.values())


def read_question(content: Mapping[str, Any]) -> WrittenQuestion:
    """An entry of questions.json. Raises ValueError, in one line, for one that is no question that can be answered."""
    said = {name: value for name, value in content.items() if name not in ADDED}
    try:
        question = from_plain(Question, said)
    except ValueError as error:
        named = f"question {str(content.get('name'))[:60]!r}"
        raise ValueError(str(error) if str(error).startswith("question ") else f"{named} {error}") from None
    if not _is_moment(content.get("written")):  # nobody can say when it was written down
        return WrittenQuestion(question=question)
    return WrittenQuestion(
        question=question,
        hash=str(content.get("hash") or ""),
        written=content["written"],
        seen=_texts(content.get("seen")),
        replaces=_texts(content.get("replaces")),
        altered=content.get("hash") != hash_of(content),
    )


def hash_of(question: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of what a question says. Fields left empty do not count, and those that are not among the
    first ones only where they differ from their defaults: so a field that is new changes no hash."""
    said = {
        name: value
        for name, value in question.items()
        if name not in ADDED
        and value not in (None, "", (), [])
        and (name in ALWAYS_COUNTED or name not in DEFAULTS or value != DEFAULTS[name])
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


ALWAYS_COUNTED = ("kind", "better", "smallest_effect", "equal_within", "over")
DEFAULTS = {field.name: field.default for field in fields(Question)}


def _is_of(question: Question, record: Mapping[str, Any]) -> bool:
    if record.get("imported"):
        return False
    name, config = str(record.get("experiment")), record.get("config") or {}
    return any(is_of_arm(arm, name, config) for arm in (*question.arms, question.baseline))


def _is_moment(value: object) -> bool:
    try:
        datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str)


def _texts(values: object) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list | tuple) else ()
