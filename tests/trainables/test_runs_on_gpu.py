"""Whole runs on a GPU: cut off, beside each other, side by side in one process, with too little memory.

As `test_on_gpu`, they need torch >= 2.11 and neither Ray nor data: `python -m pytest -m gpu` from the checkout.
"""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import DATA, ROOT
from tests.trainables.networks import relative
from tests.trainables.test_network import GOLDEN
from tests.trainables.training import SMALL, results
from trainables.airbench import ABLATIONS, side_by_side, train_side_by_side, training
from trainables.airbench import train as train_airbench
from trainables.scattering import ScatteringConfig, ScatteringNet, train

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")]

GPU = torch.device("cuda", 0)
NOT_NUMBERS = ("seconds", "per_second", "data_wait", "memory_bytes", "launched")


@pytest.fixture
def deterministic():
    """Kernels that give the same bits each time."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


def numbers(report):
    return {name: value for name, value in report["results"].items() if not name.endswith(NOT_NUMBERS)}


@pytest.mark.parametrize(("tf32", "tolerance"), [(False, 1e-5), (True, 2e-3)])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", GOLDEN)
def test_every_block_equals_the_original(name, frozen, tf32, tolerance, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    golden = np.load(DATA / f"{name}.npz")
    net = ScatteringNet(ScatteringConfig(**GOLDEN[name]), image_size=32, num_classes=10).to(GPU)
    if frozen:
        net.freeze_extractor()
    x = torch.from_numpy(golden["x"]).to(GPU)
    for i, block in enumerate(net.blocks):
        x = block(x)
        assert relative(x.cpu(), torch.from_numpy(golden[f"block{i}"])) < tolerance


@pytest.mark.parametrize("stop_after", [1, 2, 5, 8, 9])
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.usefixtures("deterministic")
def test_a_run_that_is_cut_off_after_any_step_goes_on_with_the_same_bits(tmp_path, precision, stop_after):
    """Two epochs of three steps in each phase; a checkpoint is written after each step."""
    config = ScatteringConfig(
        **SMALL, lr_epochs=2, epochs=2, global_batch_size=110, precision=precision, checkpoint_minutes=0
    )
    whole = results(replace(config, save_dir=str(tmp_path / "whole")))
    again = replace(config, save_dir=str(tmp_path / "again"), print_freq=1)
    reports = train(again)
    steps = (report for report in reports if report["event"] == "progress")
    for _ in range(stop_after):
        next(steps)
    reports.close()
    last = results(again)
    assert numbers(last) == numbers(whole)
    assert last["curves"] == whole["curves"]
    weights = [ScatteringNet.load(tmp_path / folder).state_dict() for folder in ("whole", "again")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_two_runs_that_share_a_gpu_find_what_they_find_alone(tmp_path):
    """Each process chooses its kernels by their times, so the numbers are those of other sums."""
    command = [sys.executable, "-m", "trainables.scattering", "--n-blocks", "2", "--L", "4", "--kernel-size", "5"]
    command += ["--lr-epochs", "3", "--epochs", "2", "--save-dir"]
    folders = [tmp_path / name for name in ("alone", "one", "other")]
    subprocess.run([*command, str(folders[0])], cwd=ROOT, check=True, capture_output=True)
    both = [subprocess.Popen([*command, str(folder)], cwd=ROOT, stdout=subprocess.DEVNULL) for folder in folders[1:]]
    assert [process.wait() for process in both] == [0, 0]
    losses = []
    for folder in folders:
        curves = json.loads((folder / "results.json").read_text())["curves"]
        losses.append([row["train_loss"] for name in ("phase_a", "phase_b") for row in curves[name]])
    for beside in losses[1:]:
        assert beside == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("name", ["mirror", "muon", "lookahead"])
def test_airbench_runs_side_by_side_find_what_they_find_alone(tmp_path, name):
    config = replace(ABLATIONS[name], batch_size=128, epochs=2.5, lookahead_epochs=0.5, freeze_epochs=1.0)
    together = [replace(config, seed=seed, save_dir=str(tmp_path / f"together{seed}")) for seed in range(5, 8)]
    found = {number: report for number, report in train_side_by_side(together) if report["event"] == "result"}
    for number, one in enumerate(together):
        *_, alone = train_airbench(replace(one, save_dir=str(tmp_path / f"alone{one.seed}")))
        own, theirs = ([row["train_loss"] for row in r["curves"]["train"]] for r in (found[number], alone))
        assert own == pytest.approx(theirs, rel=0.02)
        assert found[number]["results"]["side_by_side"] == 3
        assert "train_seconds" not in found[number]["results"]
    for cache in (training.warm_setup, side_by_side._known_setups):
        cache.cache_clear()


def test_a_run_without_enough_memory_for_whole_batches_does_it_in_parts(tmp_path):
    """What a sweep does then: it tries the same run again with batches cut into two, then four parts."""
    config = ScatteringConfig(**{**SMALL, "L": 8, "train_size": 1024}, lr_epochs=0, epochs=1, global_batch_size=1024)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    results(replace(config, save_dir=str(tmp_path / "whole")))
    needed = torch.cuda.max_memory_allocated() - before
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 0.75 * needed) / total)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            results(replace(config, save_dir=str(tmp_path / "parts")))
        torch.cuda.empty_cache()
        last = results(replace(config, save_dir=str(tmp_path / "parts"), batch_parts=4))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert last["results"]["batch_parts"] == 4
