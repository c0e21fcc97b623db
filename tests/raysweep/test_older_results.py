"""A results folder as commit 7efbacf wrote it: C and A finished on the digits, a run of a grid cut off by Ctrl-C.

Its commands were `run_sweep.py --group depth --only C,A` and `run_sweep.py --group depth --grid n_blocks=2 L=2`.
"""

import json
import shutil

import pandas as pd
import pytest
import torch

from raysweep import load_results
from tests.conftest import ROOT, run_sweep

WRITTEN = ROOT / "tests" / "data" / "results_of_7efbacf"
C, A, CUT_OFF = "C-s42-7772d6cd", "A-s42-407e5326", "2b_cmod_L2_s100-s42-eb3df9c8"


@pytest.fixture
def older(tmp_path):
    """A copy of the folder."""
    return shutil.copytree(WRITTEN, tmp_path / "results")


def told(value):
    """A value of a frame; None where there is none."""
    if isinstance(value, dict | list):
        return value
    return None if pd.isna(value) else value


def test_the_table_is_the_one_that_was_written_with_it(older):
    before = pd.read_parquet(older / "results.parquet").set_index("run")
    after = load_results(older, failed=True).set_index("run")
    assert list(after.index) == list(before.index) == [A, C]
    assert set(before.columns) <= set(after.columns)
    for column in before:
        for name in before.index:
            was, now = told(before.loc[name, column]), told(after.loc[name, column])
            assert (json.loads(was) if isinstance(now, dict | list) else was) == now, f"{column} of {name}"


def test_what_was_finished_is_not_done_again(older):
    again = run_sweep("--group", "depth", "--only", "C,A", "--results", older)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 finished before, 0 to do" in again.stdout
    keys = {entry["run"]: entry["key"] for entry in json.loads((older / "plan.json").read_text())}
    assert keys == {C: "7772d6cdde109203", A: "407e532641b343e8"}


@pytest.mark.ray
def test_what_was_cut_off_goes_on_from_its_checkpoint(older):
    (planned,) = json.loads((older / "plan.json").read_text())
    checkpoint = torch.load(older / "runs" / CUT_OFF / "last.pt", weights_only=False)
    records = {name: (older / "records" / f"{name}.json").read_bytes() for name in (C, A)}
    done = run_sweep("--group", "depth", "--grid", "n_blocks=2", "L=2", "--results", older)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes on after head epoch 4" in done.stdout
    record = load_results(older).set_index("run").loc[CUT_OFF]
    assert (planned["run"], planned["key"], 2) == (CUT_OFF, record["key"], record["attempt"])
    head = record["curves"]["phase_a"]
    assert head[:4] == checkpoint["curves"]["phase_a"], "epochs of before, to the last digit"
    assert [epoch["epoch"] for epoch in head] == [1, 2, 3, 4, 5]
    assert {name: (older / "records" / f"{name}.json").read_bytes() for name in (C, A)} == records
