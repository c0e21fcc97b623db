import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import ROOT
from tests.reference import PlainNet
from tests.trainables.training import SMALL, results
from trainables.data.batches import Batches
from trainables.data.catalog import locate
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig, ScatteringNet, train
from trainables.scattering.run_state import RunState


def part_of_digits(fraction: float) -> int:
    """Images of a stratified part of the training digits."""
    labels = load_digits().target
    counts = np.bincount(labels[np.arange(len(labels)) % 5 != 4])
    return int(sum(int(fraction * count) for count in counts))


@pytest.fixture(scope="module")
def two_phase(tmp_path_factory):
    config = ScatteringConfig(**SMALL, lr_epochs=3, epochs=2, save_dir=str(tmp_path_factory.mktemp("run")))
    return config, list(train(config))


def test_reports_come_in_order(two_phase):
    _, reports = two_phase
    assert [r["event"] for r in reports] == ["start", *["epoch"] * 5, "result"]
    assert [(r["phase"], r["epoch"]) for r in reports[1:-1]] == [
        ("head", 1),
        ("head", 2),
        ("head", 3),
        ("finetune", 1),
        ("finetune", 2),
    ]


def test_results_hold_the_fields_of_the_original(two_phase):
    config, reports = two_phase
    found = reports[-1]["results"]
    curves = reports[-1]["curves"]
    assert found["head_acc"] == max(row["val_acc"] for row in curves["phase_a"])
    assert found["finetune_acc"] == max(row["val_acc"] for row in curves["phase_b"])
    assert found["baseline_acc"] == pytest.approx(found["head_acc"])
    assert found["finetune_gain"] == pytest.approx(found["finetune_acc"] - found["baseline_acc"])
    assert found["final_acc"] == found["finetune_acc"]
    assert found["n_params_trainable"] == found["n_params_classifier"] == config.n_params_classifier(32, 10)
    assert found["n_params_total"] == found["n_params_extractor"] + found["n_params_classifier"]
    assert (found["actual_train_samples"], found["test_samples"]) == (part_of_digits(0.2), 359)
    assert 0 <= found["head_acc"] <= found["head_acc5"] <= 100
    on_disk = json.loads((ROOT / config.save_dir / "results.json").read_text())
    assert on_disk["results"] == found
    assert on_disk["curves"] == curves


def test_filter_change_is_the_distance_from_the_initial_filters(two_phase):
    config, reports = two_phase
    trained = ScatteringNet.load(config.save_dir)
    initial = ScatteringNet(config, image_size=32, num_classes=10)
    pairs = list(zip(trained.extractor_parameters(), initial.extractor_parameters(), strict=True))
    moved = math.sqrt(sum((p - q).square().sum().item() for p, q in pairs))
    norm = math.sqrt(sum(q.square().sum().item() for _, q in pairs))
    assert reports[-1]["results"]["filter_delta_l2"] == pytest.approx(moved, rel=1e-5)
    assert reports[-1]["results"]["filter_delta_relative"] == pytest.approx(moved / norm, rel=1e-5)
    assert moved > 0


def test_the_saved_network_has_the_best_accuracy(two_phase):
    config, reports = two_phase
    net = ScatteringNet.load(config.save_dir)
    info = locate("digits", None)
    _, test = load(info, train_size=1.0, val_split=0.0, seed=0)
    x = (test.pixels.float() / 255 - info.mean[0]) / info.std[0]
    with torch.no_grad():
        accuracy = 100 * (net(x).argmax(1) == test.labels).double().mean().item()
    assert accuracy == pytest.approx(reports[-1]["results"]["finetune_acc"])
    left = sorted(p.name for p in (ROOT / config.save_dir).iterdir())
    assert left == ["best.pt", "filters.npz", "last.pt", "predictions.npz", "results.json"]


def test_a_finished_run_repeats_its_result_without_training(two_phase):
    config, reports = two_phase
    assert list(train(config)) == [reports[-1]]


@pytest.mark.parametrize("penalty", [0.0, 3.0])
def test_training_is_that_of_the_definition(tmp_path, penalty):
    """Both phases against a plain loop over the plain network with torch's own optimiser and schedule."""
    config = ScatteringConfig(
        **SMALL, lr_epochs=2, epochs=2, weight_decay=0.01, l2_penalty=penalty, save_dir=str(tmp_path)
    )
    curves = results(config)["curves"]
    info = locate("digits", None)
    train_images, test_images = load(info, train_size=0.2, val_split=0.0, seed=42)
    workers = Workers(rank=0, world_size=1, device=torch.device("cpu"))
    options = {"global_batch_size": 128, "workers": workers, "seed": 42}
    source = Batches(info, train_images, augment=True, **options)
    test = Batches(info, test_images, augment=False, **options)
    net = PlainNet.of(config, image_size=32, num_classes=10)
    net.load_state_dict(ScatteringNet(config, image_size=32, num_classes=10).state_dict())
    head = [*net.norm.parameters(), *net.classifier.parameters()]
    for phase, groups in (
        ("head", [{"params": head, "lr": 1e-3}]),
        ("finetune", [{"params": list(net.blocks.parameters()), "lr": 1e-4}, {"params": head, "lr": 1e-3}]),
    ):
        for p in net.blocks.parameters():
            p.requires_grad_(phase == "finetune")
        before = [p.detach().clone() for p in net.blocks.parameters()]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
        best, best_state = -1.0, None
        for epoch in (1, 2):
            net.train()
            losses = []
            for x, labels, _ in source.training(phase, epoch):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(net(x), labels)
                if phase == "finetune":
                    moved = zip(net.blocks.parameters(), before, strict=True)
                    loss = loss + penalty * sum(((p - q) ** 2).sum() for p, q in moved)
                loss.backward()
                optimizer.step()
                losses += [loss.item()] * len(labels)
            scheduler.step()
            net.eval()
            with torch.no_grad():
                hits = [(net(x).argmax(1) == labels).double() for x, labels in test.validation()]
            accuracy = 100 * torch.cat(hits).mean().item()
            row = curves["phase_a" if phase == "head" else "phase_b"][epoch - 1]
            assert row["train_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
            assert row["val_acc"] == pytest.approx(accuracy, abs=0.3)  # an image on the fence may fall either way
            if accuracy > best:
                best, best_state = accuracy, {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(best_state)


def test_joint_training_of_a_random_network(tmp_path):
    config = ScatteringConfig(**SMALL, random_init=True, joint=True, epochs=2, save_dir=str(tmp_path))
    report = results(config)
    found = report["results"]
    assert found["joint_acc"] == max(row["val_acc"] for row in report["curves"]["joint"]) == found["final_acc"]
    assert found["n_params_trainable"] == found["n_params_total"]
    assert not {"head_acc", "finetune_acc", "finetune_gain", "filter_delta_l2"} & found.keys()
    assert report["curves"]["phase_a"] == report["curves"]["phase_b"] == []


def test_without_finetuning_only_the_head_learns(tmp_path):
    config = ScatteringConfig(**SMALL, lr_epochs=2, epochs=0, save_dir=str(tmp_path))
    found = results(config)["results"]
    assert not {"finetune_acc", "finetune_gain", "baseline_acc"} & found.keys()
    assert found["final_acc"] == found["head_acc"]
    net = ScatteringNet.load(tmp_path)
    initial = ScatteringNet(config, image_size=32, num_classes=10)
    assert torch.equal(net.blocks[1].psi_real, initial.blocks[1].psi_real)
    assert not torch.equal(net.classifier.weight, initial.classifier.weight)


def test_patience_ends_a_phase_and_the_best_epoch_is_reloaded(tmp_path):
    config = ScatteringConfig(
        **SMALL, lr_epochs=1, epochs=30, lr_head=0.0, lr_extractor=0.0, patience=2, save_dir=str(tmp_path)
    )
    report = results(config)
    found, curve = report["results"], [row["val_acc"] for row in report["curves"]["phase_b"]]
    assert len(curve) < 30
    best = curve.index(max(curve))
    assert found["finetune_best_epoch"] == best + 1
    assert len(curve) == best + 1 + 2
    saved = torch.load(tmp_path / "best.pt", weights_only=True)
    assert (saved["phase"], saved["epoch"], saved["val_acc"]) == ("finetune", best + 1, max(curve))


@pytest.mark.parametrize("stop_after", [1, 3, 4, 5])
def test_an_interrupted_run_goes_on_with_the_same_numbers(tmp_path, two_phase, stop_after):
    config, whole = two_phase
    again = ScatteringConfig(**{**SMALL, "lr_epochs": 3, "epochs": 2, "save_dir": str(tmp_path)})
    reports = train(again)
    for report in reports:
        if report["event"] == "epoch" and (report["epoch"] + 3 * (report["phase"] == "finetune")) == stop_after:
            break
    reports.close()
    rest = list(train(again))
    assert rest[0]["resumed_at"] is not None
    assert len(rest) == 2 + 5 - stop_after
    ours, theirs = (
        {
            k: v
            for k, v in r["results"].items()
            if not k.endswith(("seconds", "per_second", "data_wait", "memory_bytes"))
        }
        for r in (rest[-1], whole[-1])
    )
    assert ours == theirs
    assert rest[-1]["curves"] == whole[-1]["curves"]
    weights = [ScatteringNet.load(c.save_dir).state_dict() for c in (config, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_crash_between_the_two_checkpoints_of_an_epoch_loses_nothing(tmp_path, two_phase, monkeypatch):
    """best.pt of the first fine-tuning epoch is written, last.pt is not."""
    _, whole = two_phase
    config = ScatteringConfig(**SMALL, lr_epochs=3, epochs=2, save_dir=str(tmp_path))
    original = RunState.save_last

    def crash(run, phase, epoch, *more):
        if (phase, epoch) == ("finetune", 1):
            raise KeyboardInterrupt
        original(run, phase, epoch, *more)

    monkeypatch.setattr(RunState, "save_last", crash)
    with pytest.raises(KeyboardInterrupt):
        list(train(config))
    assert torch.load(tmp_path / "best.pt", weights_only=True)["phase"] == "finetune"
    monkeypatch.undo()
    *_, last = train(config)
    assert last["curves"] == whole[-1]["curves"]
    assert last["results"]["baseline_acc"] == whole[-1]["results"]["baseline_acc"]


@pytest.mark.parametrize("name", ["last.pt", "best.pt", "results.json"])
def test_a_damaged_file_is_named_and_its_run_done_again(tmp_path, capsys, name):
    config = ScatteringConfig(**SMALL, lr_epochs=1, epochs=0, save_dir=str(tmp_path))
    first = results(config)
    if name != "results.json":
        (tmp_path / "results.json").unlink()
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert results(config)["curves"] == first["curves"]
    assert f"{tmp_path / name} is damaged" in capsys.readouterr().out


def test_a_folder_of_another_run_is_refused(tmp_path):
    results(ScatteringConfig(**SMALL, lr_epochs=1, epochs=0, save_dir=str(tmp_path)))
    with pytest.raises(ValueError, match=r"holds another run \(lr_epochs=1, not 2\)"):
        results(ScatteringConfig(**SMALL, lr_epochs=2, epochs=0, save_dir=str(tmp_path)))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match="the loss is nan in epoch"):
        results(ScatteringConfig(**SMALL, lr_epochs=3, epochs=0, lr_head=1e38, save_dir=str(tmp_path)))


def test_held_out_validation_is_shown_as_such(tmp_path):
    config = ScatteringConfig(**SMALL, val_split=0.1, lr_epochs=1, epochs=0, save_dir=str(tmp_path))
    found = results(config)["results"]
    assert found["validation"] == "held out"
    assert found["test_samples"] == part_of_digits(0.1)


def test_a_run_on_other_data_is_not_taken_for_this_one(tmp_path):
    rng = np.random.RandomState(0)
    for name in ("one", "two"):
        for label in ("a", "b"):
            home = tmp_path / name / label
            home.mkdir(parents=True)
            for i in range(20):
                Image.fromarray(rng.randint(0, 256, (20, 20, 3), np.uint8)).save(home / f"{name}{i}.png")
    options = {**SMALL, "train_size": 1.0, "dataset": "imagefolder", "image_size": 16, "global_batch_size": 8}
    options |= {"lr_epochs": 1, "epochs": 0, "workers": 0, "save_dir": str(tmp_path / "run")}
    results(ScatteringConfig(**options, data_dir=str(tmp_path / "one")))
    with pytest.raises(ValueError, match=r"holds another run \(data="):
        results(ScatteringConfig(**options, data_dir=str(tmp_path / "two")))


def test_importing_a_config_imports_no_torch():
    code = "import sys, trainables.scattering as s; s.ScatteringConfig(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
