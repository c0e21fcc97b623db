"""When that was last changed which a report is made of."""

import os

import pytest

from raysweep.ledger.changes import last_change
from raysweep.ledger.durable import write_json
from raysweep.ledger.opening import open_ledger
from tests.raysweep.ledger.recorded import record

LONG_AGO = 1_000_000_000


@pytest.fixture
def folder(tmp_path):
    """A results folder with a record, in which nothing has changed for years."""
    ledger = open_ledger(tmp_path)
    ledger.write(record())
    for name in ("plan.json", "status.json", "looks.jsonl", "rounds.jsonl"):
        (tmp_path / name).write_text("[]")
    for file in [*tmp_path.iterdir(), *(tmp_path / "records").iterdir()]:
        os.utime(file, (LONG_AGO, LONG_AGO))
    assert last_change(tmp_path) == LONG_AGO * 10**9
    return tmp_path


def test_a_record_that_comes_is_replaced_or_goes_is_a_change(folder):
    ledger = open_ledger(folder)
    for change in (
        lambda: ledger.write(record("A-s1-0")),
        lambda: ledger.write(record("A-s1-0", results={})),
        lambda: ledger.remove("A-s1-0"),
    ):
        os.utime(folder / "records", (LONG_AGO, LONG_AGO))
        change()
        assert last_change(folder) > LONG_AGO * 10**9


def test_a_plan_that_is_replaced_is_a_change(folder):
    write_json(folder / "plan.json", [])
    assert last_change(folder) > LONG_AGO * 10**9


def test_what_a_sweep_does_and_that_somebody_looks_is_none(folder):
    for name in ("status.json", "looks.jsonl", "report.html", "results.parquet", ".plan.json.1.tmp"):
        write_json(folder / name, [])
    assert last_change(folder) == LONG_AGO * 10**9


def test_where_there_is_nothing_there_never_was_a_change(tmp_path):
    assert last_change(tmp_path) == last_change(tmp_path / "missing") == 0
