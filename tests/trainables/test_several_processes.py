import json

import numpy as np
import pytest
import torch

from tests.conftest import run
from tests.trainables.training import TORCHRUN
from trainables.distributed import SyncBatchNorm

FLAGS = (
    *("-m", "trainables.scattering", "--n-blocks", "2", "--L", "4", "--kernel-size", "5", "--train-size", "0.5"),
    *("--lr-epochs", "2", "--epochs", "2", "--print-freq", "0"),
)


def test_two_workers_give_the_loss_curve_of_one(tmp_path):
    same = ("--no-augment", "--sync-batch-norm")
    one = run(*FLAGS, *same, "--save-dir", tmp_path / "one", OMP_NUM_THREADS="1")
    two = run(*TORCHRUN, *FLAGS, *same, "--save-dir", tmp_path / "two", OMP_NUM_THREADS="1")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    curves = [json.loads((tmp_path / name / "results.json").read_text())["curves"] for name in ("one", "two")]
    alone, shared = (np.load(tmp_path / name / "predictions.npz") for name in ("one", "two"))
    assert alone["labels"].tolist() == shared["labels"].tolist()
    assert (alone["classes"] == shared["classes"]).mean() > 0.98, "the classes stand by test position"
    found = json.loads((tmp_path / "two" / "results.json").read_text())["results"]["final_acc"]
    assert 100 * int((shared["classes"] == shared["labels"]).sum()) / 359 == found
    for phase in ("phase_a", "phase_b"):
        assert len(curves[0][phase]) == 2
        for alone, shared in zip(curves[0][phase], curves[1][phase], strict=True):
            assert shared["train_loss"] == pytest.approx(alone["train_loss"], rel=1e-4)
            assert shared["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-4)


SHARED = """
from trainables.distributed import process_group_from_env
from trainables.scattering import ScatteringConfig, train
from trainables.scattering import blocks
blocks.own_filters = None  # frozen wavelets must not need it
with process_group_from_env():
    config = ScatteringConfig(n_blocks=2, L=4, train_size=0.2, lr_epochs=1, epochs=0, save_dir={folder!r})
    *_, last = train(config)
"""


def test_micro_batches_of_two_workers_are_those_of_one(tmp_path):
    """Both sum the gradients of 32 images at a time; the parts are the same images where nothing is shuffled apart."""
    flags = (*FLAGS, "--no-augment", "--sync-batch-norm", "--global-batch-size", "64")
    one = run(*flags, "--micro-batch", "16", "--save-dir", tmp_path / "one", OMP_NUM_THREADS="1")
    two = run(*TORCHRUN, *flags, "--micro-batch", "16", "--save-dir", tmp_path / "two", OMP_NUM_THREADS="1")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two")]
    assert [r["results"]["batch_norm_images"] for r in results] == [16, 32]
    for phase in ("phase_a", "phase_b"):
        for alone, shared in zip(*(r["curves"][phase] for r in results), strict=True):
            # Other parts share their statistics, so the numbers differ, but not by much.
            assert shared["train_loss"] == pytest.approx(alone["train_loss"], rel=0.1)


def test_the_head_phase_of_several_workers_filters_all_channels_by_one_bank(tmp_path):
    script = tmp_path / "shared.py"
    script.write_text(SHARED.format(folder=str(tmp_path / "run")))
    ran = run(*TORCHRUN, script, OMP_NUM_THREADS="1")
    assert ran.returncode == 0, ran.stderr


def test_the_command_prints_its_progress_and_one_line_for_errors(tmp_path):
    ran = run(*FLAGS[:4], "--train-size", "0.1", "--lr-epochs", "1", "--epochs", "0", "--save-dir", tmp_path / "r")
    assert ran.returncode == 0, ran.stderr
    assert "embedded digits" in ran.stdout
    assert "head 1/1" in ran.stdout
    assert "head_acc" in ran.stdout
    wrong = run(*FLAGS[:2], "--dataset", "cifar10", "--data-dir", tmp_path / "nowhere")
    assert wrong.returncode == 2
    assert wrong.stderr == f"error: data folder {tmp_path / 'nowhere'} does not exist\n"


SYNC = """
import torch, torch.distributed as dist
from trainables.distributed import SyncBatchNorm, process_group_from_env
with process_group_from_env():
    rank = dist.get_rank()
    g = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, 4, 4, generator=g) * 2 + 100
    weight = torch.randn(5, 3, 4, 4, generator=g)
    part = slice(0, 3) if rank == 0 else slice(3, 5)
    alone, shared = torch.nn.BatchNorm2d(3), SyncBatchNorm(3)
    mine = x[part].clone().requires_grad_()
    whole = x.clone().requires_grad_()
    (alone(whole) * weight).sum().backward()
    out = shared(mine)
    (out * weight[part]).sum().backward()
    for p in shared.parameters():
        dist.all_reduce(p.grad)
    torch.testing.assert_close(out, alone(x)[part], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mine.grad, whole.grad[part], rtol=1e-3, atol=1e-4)
    for p, q in zip(shared.parameters(), alone.parameters()):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-4)
    reference = torch.nn.BatchNorm2d(3)
    reference(x)
    torch.testing.assert_close(shared.running_mean, reference.running_mean)
    torch.testing.assert_close(shared.running_var, reference.running_var, rtol=1e-4, atol=1e-5)
    assert shared.num_batches_tracked == 1
"""


def test_synchronised_batch_norm_is_batch_norm_of_the_whole_batch(tmp_path):
    script = tmp_path / "sync.py"
    script.write_text(SYNC)
    ran = run(*TORCHRUN, script, OMP_NUM_THREADS="1")
    assert ran.returncode == 0, ran.stderr


def test_synchronised_batch_norm_alone_is_batch_norm():
    x = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(SyncBatchNorm(3)(x), torch.nn.BatchNorm2d(3)(x))
