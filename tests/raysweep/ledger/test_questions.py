"""Questions are written down before their results, and what comes later is known as such."""

from dataclasses import asdict, replace

import pytest

from raysweep.experiment import Filter, Question, is_of_arm
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import read_questions, write_plan
from raysweep.ledger.questions import hash_of, write_down
from tests.analysis.sweeps import record

DEPTH = Question(name="depth", text="Does a 5th block help?", baseline="C", arms=("A",), metrics=("head_acc",))


def test_a_question_keeps_its_time_and_hash_while_it_stays_the_same(tmp_path):
    ledger = open_ledger(tmp_path)
    write_plan(ledger, [], [asdict(DEPTH)])
    (first,) = read_questions(ledger)
    assert first["hash"] == hash_of(asdict(DEPTH)) == hash_of(first)
    assert (first["seen"], first["replaces"]) == ([], [])
    ledger.write(record("A", 0, head_acc=60.0))
    write_plan(ledger, [], [asdict(DEPTH)])
    assert read_questions(ledger) == [first]


def test_what_is_asked_or_changed_after_results_says_so(tmp_path):
    ledger = open_ledger(tmp_path)
    write_plan(ledger, [], [asdict(DEPTH)])
    (first,) = read_questions(ledger)
    ledger.write(record("A", 0, head_acc=60.0))
    ledger.write(record("Z", 0, dataset="cifar10", head_acc=60.0))
    changed = replace(DEPTH, smallest_effect=1.0)
    late = replace(DEPTH, name="late", baseline="X", arms=(Filter(label="all", fields={"seed": 0}),))
    other = replace(DEPTH, name="other", baseline="X", arms=("Y",))
    write_plan(ledger, [], [asdict(q) for q in (changed, late, other)])
    found = {q["name"]: q for q in read_questions(ledger)}
    assert found["depth"]["seen"] == ["digits"]
    assert found["depth"]["replaces"] == [first["hash"]]
    assert found["late"]["seen"] == ["cifar10", "digits"]
    assert (found["late"]["replaces"], found["other"]["seen"]) == ([], [])


def test_results_that_were_imported_are_not_ours_to_have_seen():
    (written,) = write_down([asdict(DEPTH)], [], [record("A", 0, imported="x/results_1.json")], "now")
    assert written["seen"] == []


def test_a_field_that_is_new_and_empty_changes_no_hash():
    assert hash_of({"name": "depth", "later": "", "more": None}) == hash_of({"name": "depth"})
    assert hash_of({"name": "depth", "later": "x"}) != hash_of({"name": "depth"})


def test_an_arm_is_an_experiment_or_the_fields_of_a_filter():
    assert is_of_arm("A", "A", {})
    assert not is_of_arm("A", "A@3", {})
    assert not is_of_arm("", "", {})
    assert is_of_arm({"label": "x", "fields": {"L": 4}}, "A", {"L": 4, "n_blocks": 3})
    assert not is_of_arm({"label": "x", "fields": {"L": 4, "gap": None}}, "A", {"L": 4, "gap": 1})


@pytest.mark.parametrize("content", ["[", "{}", "[1]", "null"])
def test_a_sweep_writes_its_questions_in_place_of_damaged_ones(content, tmp_path):
    ledger = open_ledger(tmp_path)
    (tmp_path / "questions.json").write_text(content)
    write_plan(ledger, [], [asdict(DEPTH)])
    assert [(q["name"], q["altered"]) for q in read_questions(ledger)] == [("depth", False)]


def test_results_are_read_only_for_questions_that_are_new():
    (known,) = write_down([asdict(DEPTH)], [], [], "now")

    def unread():
        raise AssertionError("read for nothing")
        yield

    assert write_down([asdict(DEPTH)], [known], unread(), "later") == [known]
