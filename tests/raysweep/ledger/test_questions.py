"""Questions are written down before their results, and what comes later is known as such."""

import json
from dataclasses import asdict, replace

import pytest

from raysweep.experiment import Filter, Question, is_of_arm
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import read_questions, write_plan
from raysweep.ledger.questions import hash_of, read_question, write_down
from search_spaces import families
from tests.analysis.sweeps import record

DEPTH = Question(name="depth", text="Does a 5th block help?", baseline="C", arms=("A",), metrics=("head_acc",))


def test_a_question_keeps_its_time_and_hash_while_it_stays_the_same(tmp_path):
    ledger = open_ledger(tmp_path)
    write_plan(ledger, [], [DEPTH])
    (first,) = read_questions(ledger)
    assert first["hash"] == hash_of(asdict(DEPTH)) == hash_of(first)
    assert (first["seen"], first["replaces"]) == ([], [])
    ledger.write(record("A", 0, head_acc=60.0))
    write_plan(ledger, [], [DEPTH])
    assert read_questions(ledger) == [first]


def test_what_is_asked_or_changed_after_results_says_so(tmp_path):
    ledger = open_ledger(tmp_path)
    write_plan(ledger, [], [DEPTH])
    (first,) = read_questions(ledger)
    ledger.write(record("A", 0, head_acc=60.0))
    ledger.write(record("Z", 0, dataset="cifar10", head_acc=60.0))
    changed = replace(DEPTH, smallest_effect=1.0)
    late = replace(DEPTH, name="late", baseline="X", arms=(Filter(label="all", fields={"seed": 0}),))
    other = replace(DEPTH, name="other", baseline="X", arms=("Y",))
    write_plan(ledger, [], [changed, late, other])
    found = {q["name"]: q for q in read_questions(ledger)}
    assert found["depth"]["seen"] == ["digits"]
    assert found["depth"]["replaces"] == [first["hash"]]
    assert found["late"]["seen"] == ["cifar10", "digits"]
    assert (found["late"]["replaces"], found["other"]["seen"]) == ([], [])


def test_results_that_were_imported_are_not_ours_to_have_seen():
    (written,) = write_down([DEPTH], [], [record("A", 0, imported="x/results_1.json")], "now")
    assert written["seen"] == []


def test_a_field_that_is_new_and_empty_changes_no_hash():
    assert hash_of({"name": "depth", "later": "", "more": None}) == hash_of({"name": "depth"})
    assert hash_of({"name": "depth", "later": "x"}) != hash_of({"name": "depth"})


WRITTEN = {
    **{"depth": "97fef619a3de262c", "horizon_speed": "ea7615e2c537557d", "data_efficiency": "c89d3c5e4f1dcdc9"},
    **{"wavelets_3b_cmod_L4_s05": "b4250bb9f0fd18d2", "advantage_4b_cmod_L4_h27": "20e0ee0a6bd07e9c"},
    **{"airbench_whiten": "4bf0936fa42c98cc", "airbench_mirror": "e7cd8a2ad8f23573"},
}
"""Hashes in results folders of commit 7efbacf."""


def test_questions_that_were_written_down_by_earlier_versions_keep_their_hashes():
    asked = {question.name: family.asked(question) for family in families() for question in family.questions}
    assert {name: hash_of(asdict(asked[name])) for name in WRITTEN} == WRITTEN


def test_a_question_is_read_as_it_was_asked():
    for family in families():
        asked = [family.asked(question) for question in family.questions]
        entries = json.loads(json.dumps(write_down(asked, [], [], "2026-01-01T00:00:00+00:00")))
        read = [read_question(entry) for entry in entries]
        assert [hash_of(asdict(entry.question)) for entry in read] == [entry["hash"] for entry in entries]
        assert not any(entry.altered for entry in read)
        assert [entry.question for entry in read if not entry.question.search] == [q for q in asked if not q.search]


def test_an_arm_is_an_experiment_or_the_fields_of_a_filter():
    assert is_of_arm("A", "A", {})
    assert not is_of_arm("A", "A@3", {})
    assert not is_of_arm("", "", {})
    assert is_of_arm(Filter(label="x", fields={"L": 4}), "A", {"L": 4, "n_blocks": 3})
    assert not is_of_arm(Filter(label="x", fields={"L": 4, "gap": None}), "A", {"L": 4, "gap": 1})


@pytest.mark.parametrize("content", ["[", "{}", "[1]", "null"])
def test_a_sweep_writes_its_questions_in_place_of_damaged_ones(content, tmp_path):
    ledger = open_ledger(tmp_path)
    (tmp_path / "questions.json").write_text(content)
    write_plan(ledger, [], [DEPTH])
    (read,) = map(read_question, read_questions(ledger))
    assert (read.question, read.altered) == (DEPTH, False)


def test_results_are_read_only_for_questions_that_are_new():
    (known,) = write_down([DEPTH], [], [], "now")

    def unread():
        raise AssertionError("read for nothing")
        yield

    assert write_down([DEPTH], [known], unread(), "later") == [known]
