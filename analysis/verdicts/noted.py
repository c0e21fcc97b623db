"""What answers say of notes: those on their runs, which runs are left out, and what would be answered with these."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.comparison.runs import rows_of
from analysis.reading.notes import left_out, names_of
from analysis.verdicts.looks import key_of
from analysis.verdicts.uncorrected import UncorrectedTest, needed_arms
from analysis.verdicts.verdict import Verdict


def with_notes(
    verdicts: Sequence[Verdict], tests: Sequence[UncorrectedTest], with_all_runs: Sequence[Verdict]
) -> list[Verdict]:
    """The verdicts of the tests, with the notes on their runs. `with_all_runs` are those if nothing were left out."""
    others = {key_of(v): v for v in with_all_runs}
    found = []
    for v, test in zip(verdicts, tests, strict=True):
        noted, out = _notes_on(v, test)
        other = others.get(key_of(v)) if out else None
        found.append(replace(v, noted=noted, left_out=out, with_left_out=other) if noted or out else v)
    return found


def _notes_on(v: Verdict, test: UncorrectedTest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The notes on the runs of an answer but those that leave out, and what is left out of it."""
    setting = test.setting
    if not setting.notes:
        return (), ()
    out: dict[str, str] = {}
    for arm in needed_arms(test):
        out |= names_of(rows_of(arm, setting.excluded))
    names = {*out, *(run for rows in (test.contrast.rows or {}).values() if "run" in rows for run in names_of(rows))}
    by = left_out(setting.notes)
    said = [str(note) for note in setting.notes if note.run in names and note is not by.get(note.run)]
    return tuple(said), tuple(f"{name} ({by[run].reason}, {by[run].date})" for run, name in out.items())
