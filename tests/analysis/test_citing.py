"""What --cite prints says what the records say, the same each time, and nothing that nobody knows."""

import re
import tomllib

import pytest

from analysis.__main__ import main
from analysis.citing import citation, methods
from analysis.reading.importing import import_results
from analysis.reading.notes import add_note
from analysis.reading.results import Results
from analysis.verdicts.answers import verdicts
from raysweep.ledger import open_ledger
from tests.analysis.original_files import SAMPLE, write_files
from tests.analysis.sweeps import frame, question, record, runs_of
from tests.conftest import ROOT

MADE = {
    "revision": "1a2b3c4d5e6f",
    "hostname": "node1",
    "python_version": "3.12.1",
    "torch_version": "2.14.0",
    "ray_version": "2.60.0",
}


def cited(*records, questions=()):
    results = Results(frame=frame(*records), questions=questions)
    return methods(results, verdicts(results)).replace("\n", " ")


def test_a_paragraph_says_what_was_run_with_what_and_how_it_was_tested():
    more = {"provenance": MADE, "data": "5242df42525b22cc", "set": "val_split=0.1", "device_name": "A100"}
    said = cited(
        *runs_of("C", [60.0, 61.0, 60.5, 60.2], first=42, **more),
        *runs_of("A", [62.0, 63.5, 62.4, 62.3], first=42, **more),
        questions=[question()],
    )
    assert said.startswith(
        "The results are those of 8 runs of 2 experiments on digits (files 5242df42) with 4 seeds (42 to 45). "
        "Set beyond the declared configurations: val_split=0.1. They were computed with raysweep, code revision "
        "1a2b3c4d5e6f; Python 3.12.1; PyTorch 2.14.0; Ray 2.60.0 on A100 of 1 machine. "
        "Tested were differences of two arms, paired by seed"
    )
    assert "Holm's method within each family (all questions 1 test) at the level 0.05" in said
    assert "95 % intervals hold at any look" in said
    assert "post hoc" not in said
    assert "versions are not recorded" not in said


def test_several_revisions_machines_and_settings_are_said_with_their_runs():
    other = {**MADE, "revision": "9999999999999+", "hostname": "node2", "torch_version": "2.15.0"}
    said = cited(
        *runs_of("C", [60.0, 61.0], provenance=MADE, device_name="A100"),
        record("C", 9, head_acc=60.0, provenance=other, device_name="H100", set="epochs=3"),
        record("C", 10, status="failed"),
    )
    assert "code revision 1a2b3c4d5e6f (2 runs), 9999999999999+ (1 run); " in said
    assert "PyTorch 2.14.0 (2 runs), 2.15.0 (1 run)" in said
    assert "on A100 (2 runs), H100 (1 run) of 2 machines." in said
    assert "A + marks code that was changed" in said
    assert "nothing (2 runs); epochs=3 (1 run)." in said
    assert "Of further runs 1 failed." in said
    assert "3 seeds (0, 1, 9)" in said
    assert "Tested were" not in said


@pytest.fixture
def folder(tmp_path):
    import_results(open_ledger(tmp_path / "results"), [write_files(SAMPLE, tmp_path / "files")])
    return tmp_path / "results"


def test_imported_runs_and_those_left_out_are_said_and_no_versions_are_made_up(folder):
    ledger = open_ledger(folder)
    add_note(ledger, next(ledger.records())["run"], "odd", exclude=True)
    said = citation(Results.read(folder)).replace("\n", " ")
    assert "11 runs of them were taken from result files of the original code." in said
    assert "1 run was left out by hand, for noted reasons." in said
    assert "Of 11 runs the versions are not recorded." in said
    assert "They were computed with" not in said


def test_the_command_prints_the_same_twice_with_an_entry_of_the_version_and_without_an_author(folder, capsys):
    printed = []
    for _ in range(2):
        assert main([str(folder), "--cite"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert not (folder / "looks.jsonl").exists()  # no answer was shown
    entry = printed[0][printed[0].index("@software{raysweep,") :]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"version = {{{project['version']}}}," in entry
    assert entry.count("{") == entry.count("}")
    assert not re.search("author|year|url|doi", entry)
    assert max(map(len, printed[0].split("@")[0].splitlines())) <= 100


def test_the_paragraph_goes_without_a_report(folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main([str(folder), "--cite", "--out", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: --cite prints a paragraph, and goes without --out\n"
