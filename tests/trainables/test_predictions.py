"""What a run leaves of its predictions, against the network that it leaves and the accuracies that it reports."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainables.training import SMALL, digit_labels, results
from trainables.data.catalog import locate
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.predictions import PREDICTIONS
from trainables.scattering import ScatteringConfig, ScatteringNet, train


def left_in(folder):
    with np.load(folder / PREDICTIONS) as file:
        return dict(file)


def accuracy_of(left) -> float:
    return 100 * int((left["classes"] == left["labels"]).sum()) / len(left["labels"])


@pytest.fixture(scope="module")
def two_phase(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = ScatteringConfig(**SMALL, lr_epochs=2, epochs=2, save_dir=str(folder))
    return folder, config, results(config)


def test_they_have_the_accuracy_that_is_reported_and_are_those_of_the_best_network(two_phase):
    folder, _, report = two_phase
    left, found = left_in(folder), report["results"]
    assert left["labels"].tolist() == digit_labels()
    assert accuracy_of(left) == found["final_acc"] == found["finetune_acc"]
    assert set(left["metrics"].tolist()) == {"final_acc", "finetune_acc"}
    info = locate("digits", None)
    _, test = load(info, train_size=1.0, val_split=0.0, seed=0)
    with torch.no_grad():
        logits = ScatteringNet.load(folder)((test.pixels.float() / 255 - info.mean[0]) / info.std[0])
    assert np.array_equal(left["classes"], logits.argmax(1).numpy())


def test_a_run_that_was_killed_before_it_could_say_its_result_has_them(two_phase, tmp_path):
    """Only its checkpoints are left, of which the last one is of the last epoch."""
    folder, config, _ = two_phase
    for name in ("best.pt", "last.pt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    results(replace(config, save_dir=str(tmp_path)))
    for name, values in left_in(folder).items():
        assert np.array_equal(left_in(tmp_path)[name], values), name


def test_a_run_that_was_stopped_between_its_phases_has_them(two_phase, tmp_path):
    folder, config, _ = two_phase
    again = replace(config, save_dir=str(tmp_path))
    for report in train(again):
        if report["event"] == "epoch" and (report["phase"], report["epoch"]) == ("head", 2):
            (tmp_path / "stop").touch()
    assert report["event"] == "stopped"
    assert not (tmp_path / PREDICTIONS).exists()
    (tmp_path / "stop").unlink()
    results(again)
    assert np.array_equal(left_in(tmp_path)["classes"], left_in(folder)["classes"])


def test_a_checkpoint_of_an_earlier_version_says_none_and_the_run_ends_all_the_same(two_phase, tmp_path):
    folder, config, report = two_phase
    (tmp_path / "last.pt").write_bytes((folder / "last.pt").read_bytes())
    best = torch.load(folder / "best.pt", weights_only=True)
    del best["classes"]
    torch.save(best, tmp_path / "best.pt")
    again = results(replace(config, save_dir=str(tmp_path)))
    assert again["results"]["final_acc"] == report["results"]["final_acc"]
    assert not (tmp_path / PREDICTIONS).exists()


def test_held_out_images_are_told_from_those_of_another_seed_and_from_the_test_set(two_phase, tmp_path):
    told = {str(left_in(two_phase[0])["images"])}
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        config = ScatteringConfig(
            **SMALL, val_split=0.1, lr_epochs=1, epochs=0, seed=seed, lr_head=0.01, save_dir=str(tmp_path / name)
        )
        found = results(config)["results"]
        left = left_in(tmp_path / name)
        assert len(left["labels"]) == found["test_samples"]
        assert accuracy_of(left) == found["final_acc"] == found["head_acc"]
        assert set(left["metrics"].tolist()) == {"final_acc", "head_acc"}
        told.add(str(left["images"]))
    assert len(told) == 3


@pytest.mark.parametrize("n", [1, 7, 8, 9])
def test_the_parts_of_several_workers_come_together_in_the_images_order(monkeypatch, n):
    """Three workers have every third image each, as `Batches.validation` gives them out."""
    whole = torch.arange(100, 100 + n)
    shares = [whole[rank::3] for rank in range(3)]
    most = max(map(len, shares))
    padded = [torch.cat([share, share.new_zeros(most - len(share))]) for share in shares]

    def all_gather(into, own):
        assert len(own) == most
        for target, source in zip(into, padded, strict=True):
            target.copy_(source)

    monkeypatch.setattr("torch.distributed.all_gather", all_gather)
    for rank in range(3):
        workers = Workers(rank=rank, world_size=3, device=torch.device("cpu"))
        assert torch.equal(workers.interleaved(shares[rank], n), whole)
