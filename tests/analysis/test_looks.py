"""Looks at the answers are noted where something new was seen, and shown with them."""

import fsspec
import pytest

from analysis.__main__ import main
from analysis.verdicts.looks import FILE, Look, looked_at, read_looks, spoken_looks, with_looks_so_far
from raysweep.ledger import add_entry, entries, open_ledger
from raysweep.ledger.plan import write_plan
from tests.analysis.sweeps import answered, question, runs_of
from tests.users import two_users

users = pytest.fixture(two_users)


def verdicts_of(seeds, gain=2.0):
    """The answer after so many seeds."""
    base = [60.0 + 0.3 * (i % 3) for i in range(seeds)]
    arm = [value + gain + 0.1 * (i % 2) for i, value in enumerate(base)]
    return answered(runs_of("C", base) + runs_of("A", arm), question())


def noted(ledger):
    return [(one["n"], one["answer"]) for entry in entries(ledger.store, FILE) for one in entry["answers"]]


def test_a_look_is_noted_where_there_are_more_seeds_or_another_answer(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    (first,) = looked_at(ledger, verdicts_of(2))
    (again,) = looked_at(ledger, verdicts_of(2))
    assert (first.looks, again.looks) == ("", "")
    (later,) = looked_at(ledger, verdicts_of(8))
    assert noted(ledger) == [(2, "undecided"), (8, "yes")]
    assert later.looks.startswith("looked at 2 times: ")
    assert "n = 2 undecided, " in later.looks
    looked_at(ledger, verdicts_of(3))  # fewer of the same runs show nothing new
    looked_at(ledger, verdicts_of(8, gain=-2.0))
    assert noted(ledger)[2:] == [(8, "no")]


def test_a_report_that_a_program_makes_shows_the_looks_so_far_and_is_none(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    for seeds in (2, 8):
        (seen,) = looked_at(ledger, verdicts_of(seeds))
    (reported,) = with_looks_so_far(ledger, verdicts_of(9, gain=-2.0))
    assert reported.looks == seen.looks != ""
    assert noted(ledger) == [(2, "undecided"), (8, "yes")]


def test_what_a_crash_left_of_a_look_is_passed_over(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    looked_at(ledger, verdicts_of(2))
    file = ledger.folder / FILE
    file.write_bytes(file.read_bytes() + b'{"time": "2026-')
    looked_at(ledger, verdicts_of(8))
    add_entry(ledger.store, FILE, {"time": "x", "answers": [{"n": "many"}, 3]})
    (looks,) = read_looks(ledger).values()
    assert [(look.n, look.answer) for look in looks] == [(2, "undecided"), (8, "yes")]


def test_looks_in_an_object_store_are_kept_in_their_order(tmp_path):
    fsspec.filesystem("memory").store.clear()
    ledger = open_ledger("memory://bucket/looks", tmp_path)
    for seeds in (2, 8, 9):
        looked_at(ledger, verdicts_of(seeds))
    assert noted(ledger) == [(2, "undecided"), (8, "yes"), (9, "yes")]


def test_in_a_folder_that_one_may_only_read_nothing_is_noted(users):
    ledger = open_ledger(users.folder / "results")
    write_plan(ledger, [], [question().question])
    for record in runs_of("C", [60.0, 61.0]) + runs_of("A", [61.0, 62.5]):
        ledger.write(record)
    done = users.bob.run("-m", "analysis", ledger.folder)
    assert done.returncode == 0, done.stderr
    assert "head_acc: undecided (n = 2), +1.25" in done.stdout
    assert not (ledger.folder / FILE).exists()


def test_the_command_shows_when_somebody_looked_before(tmp_path, capsys):
    ledger = open_ledger(tmp_path / "results")
    write_plan(ledger, [], [question().question])
    base, arm = [60.0, 61.0, 60.4], [61.0, 62.5, 61.6]
    for seeds in (2, 3):
        for record in runs_of("C", base[:seeds]) + runs_of("A", arm[:seeds]):
            ledger.write(record)
        assert main([str(ledger.folder)]) == 0
        shown = capsys.readouterr().out
    assert "looked at 2 times: " in shown


def test_of_many_looks_the_last_are_named():
    looks = [Look(f"2026-01-{day:02d}T00:00:00", day, "undecided") for day in range(1, 10)]
    assert spoken_looks(looks).startswith("looked at 9 times: ..., 2026-01-04 n = 4 undecided, ")
    assert spoken_looks(looks[:1]) == ""
