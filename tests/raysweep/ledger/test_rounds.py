"""Rounds outlive crashes, and are told from those of other plans."""

import pytest

from raysweep.experiment import Chosen
from raysweep.ledger import append_round, forget_rounds, open_ledger, rounds_of

FIRST = [Chosen(experiment="A", seed=0, why="q: pair 1"), Chosen(experiment="C", seed=0, why="q: pair 1")]
SECOND = [Chosen(experiment="A", seed=1, why="q: pair 2")]


@pytest.fixture(params=["folder", "object store"])
def store(request, tmp_path):
    location = tmp_path / "results" if request.param == "folder" else request.getfixturevalue("url")
    return open_ledger(location, tmp_path / "copy").store


def test_rounds_are_read_in_order_and_by_their_plan(store):
    assert rounds_of(store, "one") == []
    append_round(store, "one", 1, FIRST)
    append_round(store, "another", 1, SECOND)
    append_round(store, "one", 2, SECOND)
    assert rounds_of(store, "one") == [FIRST, SECOND]
    assert rounds_of(store, "another") == [SECOND]


def test_more_than_nine_rounds_stay_in_order(store):
    chosen = [[Chosen(experiment="A", seed=seed, why="")] for seed in range(12)]
    for i, one in enumerate(chosen):
        append_round(store, "one", i, one)
    assert rounds_of(store, "one") == chosen


def test_what_was_forgotten_no_longer_counts(store):
    append_round(store, "one", 1, FIRST)
    append_round(store, "another", 1, FIRST)
    forget_rounds(store, "one")
    assert rounds_of(store, "one") == []
    append_round(store, "one", 1, SECOND)
    assert (rounds_of(store, "one"), rounds_of(store, "another")) == ([SECOND], [FIRST])


@pytest.mark.parametrize("cut", range(1, 120, 17))
def test_a_line_that_a_crash_left_unfinished_is_no_round(tmp_path, cut):
    store = open_ledger(tmp_path).store
    append_round(store, "one", 1, FIRST)
    append_round(store, "one", 2, SECOND)
    file = tmp_path / "rounds.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    assert rounds_of(store, "one") == ([FIRST] if cut > 1 else [FIRST, SECOND])
    append_round(store, "one", 2, SECOND)
    assert rounds_of(store, "one")[-1] == SECOND
    assert len(rounds_of(store, "one")) == (2 if cut > 1 else 3)


@pytest.mark.parametrize("line", ["", "null", "[]", "{}", '{"plan": "one"}', '{"plan": "one", "runs": [{"seed": 1}]}'])
def test_lines_that_are_no_rounds_are_left_out(tmp_path, line):
    (tmp_path / "rounds.jsonl").write_text(f"{line}\n")
    store = open_ledger(tmp_path).store
    append_round(store, "one", 1, FIRST)
    assert rounds_of(store, "one") == [FIRST]
