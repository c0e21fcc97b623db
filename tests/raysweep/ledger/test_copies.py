"""Copies that programs which synchronise folders leave among the records are named, and count for nothing."""

import shutil

import pytest

from analysis.__main__ import main
from raysweep.ledger.opening import load_results, open_ledger
from tests.raysweep.ledger.recorded import record

NAME = "C-s42-1f2e3d4c"
COPIES = [
    f"{NAME} (conflicted copy).json",
    f"{NAME} (alice's conflicted copy 2026-11-28).json",
    f"{NAME}.sync-conflict-20261128-101112-ABCDEFG.json",
    f"{NAME} 2.json",
    f"{NAME} (1).json",
    f"{NAME}-LAPTOP.json",
    f"{NAME}_conflict-20261128-101112.json",
    f"{NAME}.Conflict.json",
    f"Copy of {NAME}.json",
    f"._{NAME}.json",
]


@pytest.fixture
def ledger(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    ledger.write(record(NAME))
    return ledger


@pytest.mark.parametrize("damaged", [False, True], ids=["sound", "damaged"])
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_named_and_counts_for_nothing(ledger, name, damaged, capsys):
    copy = ledger.folder / "records" / name
    shutil.copy(ledger.folder / "records" / f"{NAME}.json", copy)
    if damaged:
        copy.write_bytes(b"\0\5\26\7 no JSON")
    assert [one["run"] for one in ledger.records()] == [NAME]
    assert ledger.damaged == []
    assert ledger.set_aside() == []
    assert copy.exists()
    assert len(load_results(ledger.folder)) == 1
    ledger.adopt([record(NAME)])
    assert main([str(ledger.folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    line = f"{name} in {ledger.location}/records is a copy of a record that a synchronising program left"
    assert printed.count(line) == 1


def test_many_copies_are_one_line(ledger, capsys):
    for name in COPIES:
        shutil.copy(ledger.folder / "records" / f"{NAME}.json", ledger.folder / "records" / name)
    assert main([str(ledger.folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count("a synchronising program left") == 1
    assert "and 7 more in " in printed


def test_the_run_of_a_copy_without_its_record_is_not_done(ledger):
    file = ledger.folder / "records" / f"{NAME}.json"
    file.rename(file.with_name(f"{NAME}.sync-conflict-20261128-101112-ABCDEFG.json"))
    assert ledger.finished() == set()
    assert ledger.record(NAME) is None


def test_what_is_named_as_a_record_and_is_none_is_damaged_as_before(ledger):
    (ledger.folder / "records" / "A-s42-0.json").write_text("{")
    (ledger.folder / "records" / f"{NAME}5.json").write_text("{")
    assert ledger.set_aside() == [f"{ledger.location}/damaged/{name}.json" for name in ("A-s42-0", f"{NAME}5")]
