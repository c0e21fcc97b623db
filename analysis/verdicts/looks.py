"""The looks that were taken at the answers, which RESULTS/looks.jsonl keeps: when, at how many seeds, what was said.

Verdicts hold at any look, so that looking costs nothing; but a reader may want to know how an answer came about.
"""

import contextlib
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.verdicts.verdict import Verdict
from raysweep.ledger import Ledger, UnreadableError, add_entry, entries

FILE = "looks.jsonl"
WHICH = ("question", "setting", "metric", "arm", "baseline")
"""What tells one answer from another."""


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody has seen."""

    time: str
    n: int
    answer: str
    left_out: int = 0
    """How many runs notes left out of it."""


Looks = Mapping[tuple[str, ...], Sequence[Look]]
"""By question, setting, metric, arm and baseline."""


def looked_at(ledger: Ledger, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, with the looks that were taken at them; what is new of them is noted as one more.

    New are other answers, and answers of more seeds, or where notes leave out another number of runs. Nothing is noted
    in folders that one may only read.
    """
    before = read_looks(ledger)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    new, found = [], []
    for v in verdicts:
        looks = list(before.get(key_of(v), ()))
        last = looks[-1] if looks else Look("", 0, "")
        out = len(v.left_out)
        if v.n > last.n or out != last.left_out or (v.n == last.n and v.n and v.answer != last.answer):
            looks.append(Look(now, v.n, v.answer, out))
            said = {"n": v.n, "answer": v.answer} | ({"left_out": out} if out else {})
            new.append(dict(zip(WHICH, key_of(v), strict=True)) | said)
        found.append(replace(v, looks=spoken_looks(looks)))
    if new:
        with contextlib.suppress(OSError):  # somebody else's folder, or a full disk: looking is allowed all the same
            add_entry(ledger.store, FILE, {"time": now, "answers": new})
    return found


def with_looks_so_far(ledger: Ledger, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, with the looks that were taken at them; that a program has made a report of them is none."""
    before = read_looks(ledger)
    return [replace(v, looks=spoken_looks(before.get(key_of(v), ()))) for v in verdicts]


def read_looks(ledger: Ledger) -> Looks:
    """The looks at a results folder so far, in their order; none where they cannot be read."""
    try:
        noted = entries(ledger.store, FILE)
    except UnreadableError:
        return {}
    found: dict[tuple[str, ...], list[Look]] = {}
    for entry in noted:
        for seen in _answers(entry):
            key = tuple(str(seen.get(name, "")) for name in WHICH)
            out = seen.get("left_out", 0)
            answer, out = str(seen.get("answer", "")), out if isinstance(out, int) else 0
            found.setdefault(key, []).append(Look(str(entry.get("time", "")), seen["n"], answer, out))
    return found


def key_of(v: Verdict) -> tuple[str, ...]:
    """What tells a verdict from others."""
    return tuple(getattr(v, name) for name in WHICH)


def spoken_looks(looks: Sequence[Look]) -> str:
    """`looked at 3 times: 2026-11-20 n = 2 undecided, 2026-11-21 n = 4 yes, ...`; "" for fewer than two looks."""
    if len(looks) < 2:
        return ""
    said = ", ".join(
        f"{look.time[:10]} n = {look.n} {look.answer}{f' ({look.left_out} left out)' * bool(look.left_out)}"
        for look in looks[-MOST_LOOKS:]
    )
    return f"looked at {len(looks)} times: {'..., ' * (len(looks) > MOST_LOOKS)}{said}"


MOST_LOOKS = 6
"""A line names the last of them."""


def _answers(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The answers of an entry that say at how many seeds they were given."""
    said = entry.get("answers")
    answers = said if isinstance(said, list) else []
    return [one for one in answers if isinstance(one, dict) and isinstance(one.get("n"), int)]
