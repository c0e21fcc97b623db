"""Whatever another program leaves in a results folder is named in a line, and the rest is reported."""

import copy

import pytest

from analysis.__main__ import main
from analysis.reading.families import undeclared
from analysis.reading.records import sound_plan, sound_questions, sound_record
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import write_plan
from tests.analysis.sweeps import DEPTH, record

GOOD = record(
    "C",
    0,
    config={"train_size": 0.1, "n_blocks": 3, "L": 4, "modulus_type": "complex_modulus", "random_init": False},
    **{"head_acc": 60.0, "final_acc": 60.0, "finetune_gain": 5.0, "filter_delta_relative": 0.1, "seconds": 3.0},
)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        *(("config", field, "x") for field in ("train_size", "n_blocks", "L", "mixing_horizon", "epochs")),
        *(("results", field, "x") for field in ("head_acc", "final_acc", "num_classes", "batch_parts", "seconds")),
        *(("results", field, [1]) for field in ("head_acc", "actual_train_samples", "finetune_epochs")),
        *(("results", "head_acc", value) for value in (float("nan"), float("inf"), True)),
        *(("config", "train_size", value) for value in (-1, 0)),
    ],
)
def test_a_value_that_is_none_of_its_field_is_left_out(part, field, value):
    notices = []
    sound = sound_record({**GOOD, part: {**GOOD[part], field: value}}, undeclared(), notices)
    assert sound[part][field] is None
    assert len(notices) == 1
    assert notices[0].startswith(f"C seed 0: {field} is ")


ODD = [
    {"set": None},
    {"results": None},
    {"priority": None},
    {"dataset": None},
    {"finished": "soon"},
    {"finished": 3},
    {"num_workers": None},
    {"curves": {"phase_a": [1, {"val_acc": "x"}, {"val_acc": 3.0, "epoch": 1}], "phase_b": None}},
    {"curves": [1]},
    {"seed": "one"},
    {"results": {**GOOD["results"], "block_summary": [{}]}},
    {"status": "failed", "error": None},
]


@pytest.mark.parametrize("odd", ODD)
def test_records_of_any_shape_are_reported(odd, tmp_path, capsys):
    ledger = open_ledger(tmp_path / "results")
    write_plan(ledger, [], [])
    for i, name in enumerate("AB"):
        ledger.write({**copy.deepcopy(GOOD), "run": f"{name}-s0", "experiment": name, **(odd if i else {})})
    assert main([str(ledger.folder), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "A" in shown.out


WRONG = {
    "has no name": {"name": None},
    "has no text": {"text": 3},
    "is of the unknown kind 'x'": {"kind": "x"},
    "has no arms": {"arms": []},
    "has no metrics": {"metrics": None},
    "has no baseline": {"baseline": ""},
    "is about an interaction and has 1 arms, not 3": {"kind": "interaction"},
    "has no target": {"kind": "target"},
    "has no smallest_effect": {"smallest_effect": None},
    "does not say over which field its trend is": {"kind": "trend", "over": ""},
    "has no equal": {"kind": "time", "equal": None},
    "does not say which metric has to be equal": {"kind": "time", "equal": ""},
    "has no search": {"kind": "search", "target": 94.0, "search": {"over": "epochs", "limit": [1, 2]}},
    "is of the unknown better 'more'": {"better": "more"},
    "says 'later', which this version does not know": {"later": 3},
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_question_that_cannot_be_answered_is_named(reason):
    notices = []
    kept = sound_questions([{**DEPTH, "name": "good"}, {**DEPTH, **WRONG[reason]}], notices)
    assert [asked.question.name for asked in kept] == ["good"]
    assert len(notices) == 1
    assert notices[0].startswith("question ")
    assert notices[0].endswith(f" {reason}, left out")


@pytest.mark.parametrize("content", ["null", '"a"', "[1]", "[{}]", "{}", "["])
@pytest.mark.parametrize("name", ["questions.json", "plan.json", "families.json"])
def test_plans_and_questions_of_any_shape_are_named(name, content, tmp_path, capsys):
    ledger = open_ledger(tmp_path / "results")
    ledger.write(GOOD)
    (ledger.folder / name).write_text(content)
    assert main([str(ledger.folder)]) == 0
    shown = " ".join(capsys.readouterr().out.split())  # long paths break lines
    assert "left out" in shown or "is damaged" in shown
    assert "60.00" in shown


def test_a_plan_needs_what_tells_its_runs_apart():
    notices = []
    entries = [{"run": "a", "experiment": "A", "dataset": "digits", "seed": 0}, {"run": "b"}, {"run": "c", "seed": 1}]
    assert sound_plan(entries, notices) == entries[:1]
    assert notices == ["planned run 'b' has no experiment, left out", "planned run 'c' has no experiment, left out"]


def test_what_is_sound_stays_as_it_is():
    notices = []
    assert sound_record(GOOD, undeclared(), notices) == {**GOOD, "error": "", "started": None, "facts": {}}
    assert notices == []
