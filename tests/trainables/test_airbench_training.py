"""Whole airbench runs on the embedded digits: one process, a series, two processes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import run
from tests.trainables.training import digit_labels
from trainables.airbench import ABLATIONS, train
from trainables.cli import UsageError

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
FLAGS = ("-m", "trainables.airbench", "--batch-size", "128", "--precision", "float32")
SHORT = replace(ABLATIONS["mirror"], batch_size=128, epochs=1.5, lookahead_epochs=0.5, freeze_epochs=1.0)


def result(config):
    *_, last = train(config)
    return last


def predicted(folder, report):
    """The metrics that a run's predictions have exactly; they are those of the test images in their order."""
    with np.load(folder / "predictions.npz") as left:
        assert left["labels"].tolist() == digit_labels()
        accuracy = 100 * int((left["classes"] == left["labels"]).sum()) / 359
        metrics = set(left["metrics"].tolist())
    assert {report["results"][name] for name in metrics} == {accuracy}
    return metrics


def test_a_run_is_a_function_of_its_seed_and_is_done_once(tmp_path):
    config = replace(SHORT, save_dir=str(tmp_path / "0"))
    first = result(config)
    assert first["results"]["steps"] == 17  # eleven batches of 128, one and a half times
    assert predicted(tmp_path / "0", first) == {"final_acc"}
    assert result(config) == first  # read back, not trained
    again = result(replace(config, save_dir=str(tmp_path / "again")))
    assert [c["train_loss"] for c in again["curves"]["train"]] == [c["train_loss"] for c in first["curves"]["train"]]
    assert again["results"]["final_acc"] == first["results"]["final_acc"]
    other = result(replace(config, seed=1, save_dir=str(tmp_path / "1")))
    assert other["curves"]["train"][0]["train_loss"] != first["curves"]["train"][0]["train_loss"]
    with pytest.raises(ValueError, match="holds another run"):
        result(replace(config, seed=2))


def test_the_clock_leaves_out_loading_and_warm_up(tmp_path):
    """Of one view, the accuracy is that of the single view, which its predictions say."""
    last = result(replace(SHORT, seed=7, label_smoothing=0.1, tta="none", save_dir=str(tmp_path)))
    assert predicted(tmp_path, last) == {"final_acc", "acc_single_view"}
    results = last["results"]
    assert results["train_seconds"] < results["seconds"]
    parts = ("whitening", "augmentation", "forward", "backward", "optimizer", "evaluation")
    named = sum(results[f"{part}_seconds"] for part in parts)
    assert 0.8 * results["train_seconds"] < named <= results["train_seconds"]


@pytest.mark.slow
def test_a_cut_off_series_runs_the_seeds_that_are_missing(tmp_path):
    flags = (*FLAGS, "--ablation", "whiten", "--epochs", "0.5", "--save-dir", tmp_path)
    first = run(*flags, "--seed", "1")
    assert first.returncode == 0, first.stderr
    series = run(*flags, "--runs", "2")
    assert series.returncode == 0, series.stderr
    assert "embedded digits" in series.stdout
    assert "seed 0  epoch 1/0.5" in series.stdout
    assert "seed 1  epoch" not in series.stdout
    assert "n = 2" in series.stdout


@pytest.mark.slow
def test_two_workers_share_the_batch(tmp_path):
    flags = (*FLAGS, "--ablation", "mirror", "--epochs", "2.5", "--freeze-epochs", "1", "--lookahead-epochs", "1")
    losses = []
    for name, launcher in (("one", ()), ("two", TORCHRUN)):
        ran = run(*launcher, *flags, "--save-dir", tmp_path / name, OMP_NUM_THREADS="1")
        assert ran.returncode == 0, ran.stderr
        (line,) = (line for line in ran.stdout.splitlines() if "epoch 1/" in line)
        losses.append(float(line.split("loss")[1].split()[0]))
        (folder,) = (tmp_path / name).iterdir()
        assert predicted(folder, json.loads((folder / "results.json").read_text()))
    # Each worker normalises by its own half of the batch.
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_wrong_flags_are_one_line():
    from trainables.airbench.__main__ import series

    with pytest.raises(UsageError, match="unknown ablation 'miror'; did you mean 'mirror'"):
        series(["--ablation", "miror"])
    with pytest.raises(UsageError, match="unknown option --epoch; did you mean '--epochs'"):
        series(["--epoch", "3"])
    with pytest.raises(UsageError, match="--runs"):
        series(["--runs", "many"])
