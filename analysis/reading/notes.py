"""What people have noted on runs: RESULTS/notes.jsonl, a line of JSON for each note, to which lines are only added.

A note may leave its run out of all answers and tables, and a later one may take it back. It stands for the training, so
it holds for all names under which a run is recorded (`same_as`), and for what the same run is after --redo.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pandas as pd

from analysis.numbers import count
from raysweep.ledger import Ledger, add_entry, entries

FILE = "notes.jsonl"
MOST_NAMED = 3
"""A message names at most so many runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What somebody said of a run."""

    run: str
    reason: str
    time: str
    exclude: bool | None = None
    """True where it leaves the run out, False where it takes it back, None where it does neither."""

    @property
    def date(self) -> str:
        """The day, as 2026-11-28."""
        return self.time[:10]

    def __str__(self) -> str:
        done = {True: ", left out", False: ", taken back", None: ""}[self.exclude]
        return f"note on {self.run} ({self.date}{done}): {self.reason}"


def add_note(ledger: Ledger, run: str, reason: str, exclude: bool | None = None) -> Note:
    """Write a note down, with the time. Raises ValueError for a reason that says nothing."""
    said = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(reason.split()))
    if not said:
        raise ValueError("the reason of a note says nothing")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    note = Note(run=run, reason=said, time=now, exclude=exclude)
    entry: dict[str, Any] = {"time": now, "run": run, "reason": said}
    add_entry(ledger.store, FILE, entry if exclude is None else {**entry, "exclude": exclude})
    return note


def read_notes(ledger: Ledger) -> list[dict[str, Any]]:
    """The entries of a results folder, for `sound_notes`. Raises UnreadableError where they cannot be read."""
    return entries(ledger.store, FILE)


def sound_notes(found: Iterable[Mapping[str, Any]], notices: list[str]) -> list[Note]:
    """The notes, in their order; what is none is named in a notice."""
    notes = []
    for entry in found:
        texts = [entry.get(name) for name in ("run", "reason", "time")]
        exclude = entry.get("exclude")
        if not all(isinstance(text, str) for text in texts) or not isinstance(exclude, bool | None):
            notices.append(f"{FILE}: {str(dict(entry))[:60]} is no note, left out")
            continue
        run, reason, time = map(str, texts)
        notes.append(Note(run=run, reason=reason, time=time, exclude=exclude))
    return notes


def left_out(notes: Sequence[Note]) -> dict[str, Note]:
    """The runs that are left out, each with the note that does it."""
    found: dict[str, Note] = {}
    for note in notes:
        if note.exclude:
            found[note.run] = note
        elif note.exclude is False:
            found.pop(note.run, None)
    return found


def frames_by_notes(
    ledger: Ledger, records: Sequence[dict[str, Any]], notes: Sequence[Note]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The records that count as a table, and those that notes leave out, both numbered as the records are."""
    out = left_out(notes)
    places: dict[bool, list[int]] = {False: [], True: []}
    for i, record in enumerate(records):
        places[trained_as(record) in out].append(i)
    if not places[True]:
        return ledger.frame(failed=True, records=records), None
    frames = [ledger.frame(failed=True, records=[records[i] for i in at]) for at in places.values()]
    return frames[0].set_axis(places[False]), frames[1].set_axis(places[True])


def notice_of(notes: Sequence[Note], excluded: pd.DataFrame) -> str:
    """A line on the runs that are left out."""
    out, names = left_out(notes), names_of(excluded)
    reasons = [f"{name}: {out[trained].reason}" for trained, name in names.items()]
    named = f"{', '.join(reasons[:MOST_NAMED])}{', ...' * (len(reasons) > MOST_NAMED)}"
    return (
        f"{count(len(excluded), 'run')} left out by notes ({named}): answers hold at any look for a choice of runs "
        "that does not depend on their results; each says what it would be with them"
    )


def trained_as(record: Mapping[str, Any]) -> str:
    """The run that was trained: that of a record, or the one that it took its result from."""
    same = record.get("same_as")
    return same if isinstance(same, str) and same else str(record["run"])


def names_of(rows: pd.DataFrame) -> dict[str, str]:
    """The names of the runs of a table, by the run that was trained."""
    if not len(rows):
        return {}
    trained = rows["same_as"].fillna(rows["run"]) if "same_as" in rows else rows["run"]
    return dict(zip(map(str, trained), map(str, rows["run"]), strict=True))


def named_run(name: str, records: Sequence[Mapping[str, Any]]) -> str:
    """The run that is meant by its name, with or without the hash behind it, as it was trained.

    Raises ValueError, in one line, for none and for several.
    """
    exact = [record for record in records if record["run"] == name]
    found = exact or [record for record in records if _short(record) == name]
    runs = sorted({trained_as(record) for record in found})
    if len(runs) == 1:
        return runs[0]
    if runs:
        more = ", ..." * (len(runs) > MOST_NAMED)
        raise ValueError(
            f"{name} is the name of {len(runs)} runs: {', '.join(runs[:MOST_NAMED])}{more}; name one whole"
        )
    known = {spelled.lower(): spelled for record in records for spelled in (record["run"], _short(record))}
    close = get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    raise ValueError(f"there is no run {name}{f'; did you mean {known[close[0]]}?' if close else ''}")


def _short(record: Mapping[str, Any]) -> str:
    """`C-s42` of C-s42-1f2e3d4c."""
    name, _, digits = str(record["run"]).rpartition("-")
    return name if digits and str(record.get("key", "")).startswith(digits) else str(record["run"])
