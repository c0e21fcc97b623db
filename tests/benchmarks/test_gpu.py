"""What of the comparison on a GPU can be tried without one."""

from dataclasses import replace

import pytest
import torch

from benchmarks.gpu import airbench_chains, airbench_runs, scattering_steps
from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.drawn import drawn_cifar10
from benchmarks.gpu.table import COLUMNS, line, slowest_ratio
from tests.conftest import run
from trainables.airbench import ABLATIONS, network, side_by_side, training
from trainables.scattering import ScatteringConfig

CASES = {case.label: case for case in scattering_steps.cases()}


def test_operations_are_those_worked_out_by_hand():
    """GFLOP for an image in a step of fine-tuning: 22.4 of C, 138 of A (the exact formulation at a quarter of the
    positions, forward, and two gradients but that of the images)."""
    for name, expected in (("ImageNet C", 22.4e9), ("ImageNet A", 138e9)):
        case = CASES[f"{name} finetune"]
        assert abs(case.operations() / case.batch / expected - 1) < 0.01


def test_the_forms_of_a_small_network_are_timed_in_turns_on_a_cpu():
    config = ScatteringConfig(dataset="cifar10", n_blocks=2, L=2, kernel_size=3)
    case = scattering_steps.Case(name="small", config=config, work="finetune", batch=4)
    device = torch.device("cpu")
    rows = scattering_steps.measure(case, device, Ceilings.of(device), repeats=2)
    assert [row["form"] for row in rows] == ["plain", "float32", "bfloat16", "float16"]
    for row in rows:
        assert len(row["seconds"]) == 2
        assert line(row).count("|") == len(COLUMNS) + 1
        assert ("ratios" in row) == ("of_floor" in row) == (row["form"] != "plain")
        assert 0 < row.get("of_floor", 0.5) < 1
    assert slowest_ratio(rows) > 0


def test_chains_without_our_kernels_are_timed_by_the_librarys_layers_alone(monkeypatch):
    """The bytes are worked out by hand for the first: 31 x 31 twice and 15 x 15 three times, 64 channels, 2 bytes."""
    monkeypatch.setattr(airbench_chains, "BATCH", 2)
    assert airbench_chains.cases()[0].nbytes() == 2 * 64 * (2 * 961 + 3 * 225) * 2
    device = torch.device("cpu")
    rows = airbench_chains.measure(device, Ceilings.of(device), repeats=1)
    assert [row["form"] for row in rows] == ["library"] * 6
    assert rows[0]["work"] == "airbench chain 64 x 31 x 31, pooled"
    assert rows[5]["work"] == "airbench chain 256 x 3 x 3"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_there_is_one_line():
    ran = run("-m", "benchmarks.gpu")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "error: python -m benchmarks.gpu needs a GPU, and PyTorch finds none here\n"


def test_seeds_side_by_side_are_timed_against_runs_alone(tmp_path, monkeypatch):
    """Here on a CPU, with narrow networks and the first steps of an epoch."""
    monkeypatch.setattr(network, "WIDTHS", (8, 8, 8))
    monkeypatch.setattr(airbench_runs, "AT_ONCE", 2)
    short = replace(ABLATIONS["muon"], epochs=0.02, freeze_epochs=0.01, batch_size=250, tta="none")
    monkeypatch.setattr(airbench_runs, "ABLATIONS", {"muon": short})
    clear_caches()
    (row,) = airbench_runs.side_by_side("muon", str(drawn_cifar10(tmp_path)), seeds=2, alone=1)
    clear_caches()
    assert row["work"] == "airbench muon, 2 seeds"
    assert row["form"] == "2 side by side"
    assert (len(row["seconds"]), len(row["ratios"]), len(row["accuracies"])) == (1, 1, 2)


def clear_caches():
    training.warm_setup.cache_clear()
    side_by_side._known_setups.cache_clear()
