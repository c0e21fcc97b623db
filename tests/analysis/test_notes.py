"""Notes on runs are shown with every answer that they touch; what they leave out is said, and what it changes."""

import fsspec
import pytest

from analysis.__main__ import main
from analysis.reading.notes import FILE, add_note, read_notes
from analysis.reading.results import Results
from analysis.report import write_report
from analysis.seeding import next_seeds
from analysis.tables.overall import summary_table
from analysis.verdicts.answers import verdicts
from analysis.verdicts.looks import looked_at
from analysis.verdicts.wording import remarks
from raysweep.experiment import Candidate, Cost, Filter, Situation
from raysweep.ledger import add_entry, entries, open_ledger
from raysweep.ledger.plan import write_plan
from tests.analysis.sweeps import question, record, runs_of
from tests.users import two_users

users = pytest.fixture(two_users)

BASE = [60.0, 61.0, 60.4, 60.7, 60.2]
ARM = [62.0, 63.5, 62.1, 62.9, 49.0]
"""The last one is off."""


def keyed(made, digits="1f2e3d4c"):
    """A record whose name ends with its key, as those of sweeps do."""
    return {**made, "run": f"{made['experiment']}-s{made['seed']}-{digits}", "key": f"{digits}00000000"}


def written(location, *more, questions=None):
    """A ledger with five runs of either arm, and more."""
    ledger = open_ledger(location)
    records = [keyed(one) for one in (*runs_of("C", BASE), *runs_of("A", ARM), *more)]
    write_plan(ledger, records, [question().question] if questions is None else questions)
    for one in records:
        ledger.write(one)
    return ledger


def command(capsys, *args):
    """What a command prints, and its exit code."""
    try:
        code = main([str(one) for one in args])
    except SystemExit as error:
        code = error.code
    out, err = capsys.readouterr()
    return code, out, err


def test_a_note_is_kept_with_its_time_and_shown_with_the_answers_it_touches(tmp_path, capsys):
    other = question(name="other", arms=("E",)).question
    ledger = written(tmp_path / "r", *runs_of("E", [60.1, 60.9]), questions=[question().question, other])
    code, out, _ = command(capsys, "note", ledger.folder, "A-s1", "the  GPU\nwas hot")
    (entry,) = read_notes(ledger)
    assert code == 0
    assert (entry["run"], entry["reason"]) == ("A-s1-1f2e3d4c", "the GPU was hot")
    assert out == f"note on A-s1-1f2e3d4c ({entry['time'][:10]}): the GPU was hot\n"
    first, second = verdicts(Results.read(ledger.folder))
    assert first.noted == (out.strip(),)
    assert out.strip() in [*remarks(first)]
    assert second.noted == second.left_out == ()
    assert first.with_left_out is None
    assert command(capsys, "note", ledger.folder)[1] == out


def test_a_run_that_is_left_out_takes_part_in_nothing_and_the_answer_with_it_stands_beside(tmp_path, capsys):
    ledger = written(tmp_path / "r")
    (before,) = verdicts(Results.read(ledger.folder))
    note = add_note(ledger, "A-s4-1f2e3d4c", "out of memory", exclude=True)
    results = Results.read(ledger.folder)
    (v,) = verdicts(results)
    assert (before.n, v.n, v.seeds) == (5, 4, (0, 1, 2, 3))
    assert v.estimate == pytest.approx(sum(a - b for a, b in zip(ARM[:4], BASE[:4], strict=True)) / 4)
    assert v.left_out == (f"A-s4-1f2e3d4c (out of memory, {note.date})",)
    assert v.with_left_out == before
    assert "A-s4-1f2e3d4c" not in v.runs
    said = [*remarks(v)]
    assert f"left out: A-s4-1f2e3d4c (out of memory, {note.date})" in said
    assert any(line.startswith("with them: undecided (n = 5), -0.") for line in said)
    assert not any("missing" in line for line in v.lost)
    assert [
        line for line in results.notices if line.startswith("1 run left out by notes (A-s4-1f2e3d4c: out of memory)")
    ]
    assert "A-s4-1f2e3d4c" not in set(results.frame["run"])
    rows = summary_table(results).rows.set_index("experiment")
    assert (rows.loc["A", "n"], rows.loc["A", "left out"], rows.loc["A", "missing"]) == (4, 1, None)
    page = write_report(results, [v], tmp_path / "out").read_text()
    assert "left out: A-s4-1f2e3d4c (out of memory" in page
    assert "without a result" not in page
    code, out, _ = command(capsys, ledger.folder)
    assert (code, "with them: undecided (n = 5)" in out) == (0, True)


def test_a_run_is_taken_back_and_all_is_as_before_but_for_the_notes(tmp_path, capsys):
    ledger = written(tmp_path / "r")
    (before,) = verdicts(Results.read(ledger.folder))
    assert command(capsys, "note", ledger.folder, "A-s4", "odd", "--exclude")[0] == 0
    assert command(capsys, "note", ledger.folder, "A-s4", "not odd", "--include")[0] == 0
    results = Results.read(ledger.folder)
    (after,) = verdicts(results)
    assert (after.n, after.p, after.estimate) == (before.n, before.p, before.estimate)
    assert [line.split(": ")[1] for line in after.noted] == ["odd", "not odd"]
    assert (after.left_out, results.excluded, results.notices) == ((), None, [])
    shown = command(capsys, "note", ledger.folder, "A-s4")[1].splitlines()
    assert [line.partition(", ")[2].partition(")")[0] for line in shown] == ["left out", "taken back"]


@pytest.mark.parametrize("arm", ["E", Filter(label="deep", fields={"experiment": "E"})], ids=["name", "filter"])
def test_leaving_out_all_runs_of_an_arm_leaves_the_question_and_its_family_as_large(tmp_path, arm):
    second = question(name="second", arms=(arm,)).question
    ledger = written(tmp_path / "r", *runs_of("E", [60.1, 60.9, 60.5]), questions=[question().question, second])
    write_plan(ledger, [], [])  # nothing planned says that there was an arm
    before = verdicts(Results.read(ledger.folder))
    for seed in range(3):
        add_note(ledger, f"E-s{seed}-1f2e3d4c", "no", exclude=True)
    first, gone = verdicts(Results.read(ledger.folder))
    assert (first.tests, first.answer) == (before[0].tests, before[0].answer)
    assert (gone.answer, len(gone.left_out)) == ("open", 3)
    assert gone.with_left_out == before[1]


def test_questions_that_runs_imply_stay_where_one_of_the_runs_is_left_out(tmp_path):
    config = {"n_blocks": 3, "L": 4, "modulus_type": "complex_modulus", "train_size": 0.1}
    made = [
        record(name, 42, dataset="cifar10", final_acc=acc, config={**config, "random_init": rand, "joint": rand})
        for name, acc, rand in (("W", 70.0, False), ("R", 66.0, True))
    ]
    ledger = open_ledger(tmp_path / "r")
    for one in made:
        ledger.write(keyed(one))
    (before,) = verdicts(Results.read(ledger.folder))
    add_note(ledger, "R-s42-1f2e3d4c", "no", exclude=True)
    (after,) = verdicts(Results.read(ledger.folder))
    assert (after.question, after.answer) == (before.question, "open")
    assert after.with_left_out == before
    assert after.left_out


def test_everything_may_be_left_out(tmp_path, capsys):
    ledger = written(tmp_path / "r")
    for one in ledger.records():
        add_note(ledger, one["run"], "all of it", exclude=True)
    (v,) = verdicts(Results.read(ledger.folder))
    assert (v.answer, len(v.left_out), v.with_left_out.n) == ("open", 10, 5)
    assert command(capsys, ledger.folder, "--out", tmp_path / "out")[0] == 0


def test_a_note_holds_for_all_names_of_a_training(tmp_path):
    ledger = written(tmp_path / "r")
    (done,) = [one for one in ledger.records() if one["run"] == "A-s4-1f2e3d4c"]
    ledger.write({**done, "run": "B-s4-1f2e3d4c", "experiment": "B", "same_as": done["run"]})
    assert main(["note", str(ledger.folder), "B-s4", "no", "--exclude"]) == 0
    assert [entry["run"] for entry in read_notes(ledger)] == ["A-s4-1f2e3d4c"]
    assert set(Results.read(ledger.folder).excluded["run"]) == {"A-s4-1f2e3d4c", "B-s4-1f2e3d4c"}


def test_another_run_of_the_same_seed_counts_once_the_one_that_counted_is_left_out(tmp_path):
    ledger = written(tmp_path / "r")
    again = keyed(record("A", 4, head_acc=62.5, finished="2026-01-03T00:00:00+00:00"), digits="99999999")
    ledger.write(again)
    (v,) = verdicts(Results.read(ledger.folder))
    assert "A-s4-99999999" in v.runs
    add_note(ledger, "A-s4-99999999", "no", exclude=True)
    (v,) = verdicts(Results.read(ledger.folder))
    assert "A-s4-1f2e3d4c" in v.runs
    assert v.n == 5


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("A-s44", "x"), "there is no run A-s44; did you mean A-s4?"),
        (("A-s1", "  "), "the reason of a note says nothing"),
        (("A-s1", "--exclude"), "--exclude needs a RUN and a REASON"),
        (("--include",), "--include needs a RUN and a REASON"),
        (("A-s1", "x", "--include"), "A-s1-1f2e3d4c is not left out"),
        (("D-s1", "x"), "D-s1 is the name of 2 runs: D-s1-11111111, D-s1-22222222; name one whole"),
    ],
)
def test_what_cannot_be_noted_is_said_in_a_line(tmp_path, capsys, args, said):
    ledger = written(tmp_path / "r")
    for digits in ("11111111", "22222222"):
        ledger.write(keyed(record("D", 1, head_acc=60.0), digits))
    assert command(capsys, "note", ledger.folder, *args) == (2, "", f"error: {said}\n")
    assert read_notes(ledger) == []
    if args[0] == "D-s1":
        assert command(capsys, "note", ledger.folder, "D-s1-22222222", "x")[0] == 0


def test_a_folder_without_results_takes_no_note(tmp_path, capsys):
    assert command(capsys, "note", tmp_path / "no", "A-s1", "x")[0] == 2
    assert not (tmp_path / "no").exists()


def test_in_a_folder_that_one_may_only_read_nothing_can_be_noted(users):
    ledger = written(users.folder / "results")
    for earlier in (False, True):
        if earlier:
            add_note(ledger, "A-s1-1f2e3d4c", "mine")
        done = users.bob.run("-m", "analysis", "note", ledger.folder, "A-s1", "theirs", "--exclude")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert len(read_notes(ledger)) == earlier


def test_notes_in_an_object_store_are_kept_in_their_order(tmp_path, capsys):
    fsspec.filesystem("memory").store.clear()
    written("memory://bucket/notes")
    for reason, how in (("first", ()), ("second", ("--exclude",))):
        assert command(capsys, "note", "memory://bucket/notes", "A-s1", reason, *how)[0] == 0
    results = Results.read("memory://bucket/notes")
    assert [note.reason for note in results.notes] == ["first", "second"]
    assert list(results.excluded["run"]) == ["A-s1-1f2e3d4c"]


def test_what_is_no_note_is_named_and_what_a_crash_left_of_one_is_none(tmp_path, capsys):
    ledger = written(tmp_path / "r")
    add_note(ledger, "A-s1-1f2e3d4c", "sound")
    for entry in ({"run": 3, "reason": "x", "time": "y"}, {"run": "A", "reason": "x", "time": "y", "exclude": "yes"}):
        add_entry(ledger.store, FILE, entry)
    file = ledger.folder / FILE
    file.write_bytes(file.read_bytes() + b'{"run": "A-s2-1f2e3d4c", "exclude": tr')
    results = Results.read(ledger.folder)
    assert [note.reason for note in results.notes] == ["sound"]
    assert [line for line in results.notices if line.startswith(FILE)] == [
        "notes.jsonl: {'run': 3, 'reason': 'x', 'time': 'y'} is no note, left out",
        "notes.jsonl: {'run': 'A', 'reason': 'x', 'time': 'y', 'exclude': 'yes'} is no note, left out",
    ]


def test_leaving_out_is_one_more_look(tmp_path):
    ledger = written(tmp_path / "r")

    def look():
        (v,) = looked_at(ledger, verdicts(Results.read(ledger.folder)))
        return v.looks

    look()
    add_note(ledger, "A-s4-1f2e3d4c", "no", exclude=True)
    assert "n = 5 undecided, " in (said := look())
    assert said.endswith("n = 4 undecided (1 left out)")
    assert look() == said
    add_note(ledger, "A-s4-1f2e3d4c", "yes", exclude=False)
    assert look().endswith("n = 5 undecided")
    assert len(entries(ledger.store, "looks.jsonl")) == 3


def test_a_sweep_until_its_questions_are_answered_takes_other_seeds_in_place_of_what_is_left_out(tmp_path):
    ledger = open_ledger(tmp_path / "r")
    for one in (record("C", 0, head_acc=60.0), record("A", 0, head_acc=62.0)):
        ledger.write(keyed(one))
    add_note(ledger, "A-s0-1f2e3d4c", "no", exclude=True)
    candidates = tuple(
        Candidate(
            name=name,
            config={},
            cost=Cost(operations=1.0),
            runs={seed: f"{name}-s{seed}-1f2e3d4c" for seed in range(6)},
        )
        for name in ("C", "A")
    )
    situation = Situation(
        location=str(ledger.folder),
        dataset="digits",
        questions=(question().question,),
        candidates=candidates,
        seeds=tuple(range(6)),
        done=frozenset({("C", 0), ("A", 0)}),
        lost=frozenset(),
        most_seeds=6,
        slots=4.0,
    )
    allocation = next_seeds(situation)
    assert allocation.prospects[0].outcome == "undecided"
    assert {one.seed for one in allocation.chosen} == {1, 2}


def test_notes_that_cannot_be_read_are_named_and_end_with_one(tmp_path, capsys):
    ledger = written(tmp_path / "r")
    (ledger.folder / FILE).mkdir()  # a folder in place of the file
    code, out, err = command(capsys, ledger.folder)
    assert (code, err.count("\n")) == (1, 1)
    assert f"{ledger.folder / FILE} cannot be read" in err
    assert "cannot be read, left out: " in out
    code, out, err = command(capsys, "note", ledger.folder, "A-s1", "x")
    assert (code, out, err.count("\n")) == (1, "", 1)
