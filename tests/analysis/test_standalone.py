"""Result files of runs without Ray, taken in beside each other and asked questions."""

import json
import shutil
from dataclasses import replace

import pytest

from analysis.reading.importing import import_results
from analysis.reading.results import Results
from analysis.tables.overall import all_tables
from raysweep.ledger.opening import open_ledger
from tests.conftest import run
from tests.trainables.training import SMALL
from tests.trainables.training import results as trained
from trainables.airbench import ABLATIONS, train
from trainables.scattering import ScatteringConfig

TINY = replace(ABLATIONS["whiten"], batch_size=256, epochs=0.2, tta="none")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What `python -m trainables.airbench --ablation whiten --runs 2` leaves, and a scattering run."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        for _ in train(replace(TINY, seed=seed, save_dir=str(folder / f"whiten-s{seed}"))):
            pass
    trained(ScatteringConfig(**SMALL, lr_epochs=1, epochs=0, save_dir=str(folder / "small")))
    return folder


def test_runs_without_ray_are_taken_in_with_their_trainables_metrics(files, tmp_path):
    done = import_results(open_ledger(tmp_path), [files])
    assert (done.records, done.skipped) == (3, [])
    frame = Results.read(tmp_path).frame.set_index("experiment")
    assert sorted(frame.index) == ["small", "whiten", "whiten"]
    assert set(frame.loc["whiten", "trainable"]) == {"trainables.airbench"}
    assert sorted(frame.loc["whiten", "seed"]) == [0, 1]
    for seed in (0, 1):
        left = json.loads((files / f"whiten-s{seed}" / "results.json").read_text())
        (row,) = (row for _, row in frame.iterrows() if row["seed"] == seed and row["trainable"] == left["trainable"])
        assert row["final_acc"] == left["results"]["final_acc"]
        assert row["batch_size"] == 256
    (table,) = (table for table in all_tables(Results.read(tmp_path), []) if table.name == "results")
    shown = [column.name for column in table.columns]
    assert {"final_acc", "train_seconds", "head_acc"} <= {*shown}  # of both families
    assert import_results(open_ledger(tmp_path), [files]).already_there == 3


def test_the_command_takes_them_in_and_names_files_that_are_none(files, tmp_path):
    shutil.copytree(files / "whiten-s0", tmp_path / "runs" / "whiten-s0")
    for name, content in (("old", {"config": {}, "identity": {}, "results": {}, "curves": {}}), ("list", [])):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "results.json").write_text(json.dumps(content))
    ran = run("-m", "analysis", "import", tmp_path / "results", tmp_path / "runs")
    assert ran.returncode == 0, ran.stderr
    assert "1 imported, 2 skipped" in ran.stdout
    assert "list/results.json: skipped, it has no config, identity, results, curves" in ran.stderr
    assert "old/results.json: skipped, it does not say its trainable" in ran.stderr
    there = run("-m", "analysis", tmp_path / "runs")
    assert there.returncode == 2
    assert f"`python -m analysis import RESULTS {tmp_path / 'runs'}` takes them in" in there.stderr
