"""What a run leaves of its filters, against its network, the network that it began with, and what it says it moved."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainables.training import SMALL, results
from trainables.scattering import ScatteringConfig, ScatteringNet
from trainables.scattering.filter_pictures import FILTERS, MOST_MOVEMENTS, save_filters
from trainables.scattering.network import initial_blocks


def left_in(folder):
    with np.load(folder / FILTERS, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def two_phase(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = ScatteringConfig(**SMALL, lr_epochs=1, epochs=2, lr_extractor=0.01, save_dir=str(folder))
    return folder, config, results(config)["results"]


def psi(block):
    return (block.psi_real + 1j * block.psi_imag).detach().numpy()


def test_block_1_is_the_networks_own_before_and_after(two_phase):
    folder, config, _ = two_phase
    left, (before, *_) = left_in(folder), initial_blocks(config)
    after = ScatteringNet.load(folder).blocks[0]
    for when, block in (("before", before), ("after", after)):
        assert np.array_equal(left[f"block1_psi_{when}"], psi(block))
        assert np.array_equal(left[f"block1_phi_{when}"], block.phi.detach().numpy())
    assert left["block1_psi_shown"].tolist() == list(range(12))
    assert left["block1_L"] == 4


def test_each_filters_movement_is_over_its_own_norm_and_the_most_and_least_moved_are_shown(two_phase):
    folder, config, _ = two_phase
    left = left_in(folder)
    before, after = (psi(blocks[1]) for blocks in (initial_blocks(config), ScatteringNet.load(folder).blocks))
    moved = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(after, before, strict=True)]
    assert left["block2_psi_moved"] == pytest.approx(moved, rel=1e-5)
    order = sorted(range(60), key=lambda i: -left["block2_psi_moved"][i])
    assert left["block2_psi_shown"].tolist() == [*order[:4], *order[-4:]]
    own = [after[i, i // 4] for i in left["block2_psi_shown"]]  # filter C_i L + l is of channel C_i
    assert np.array_equal(left["block2_psi_after"], np.stack(own))


def test_all_blocks_together_moved_as_far_as_the_record_says(two_phase):
    folder, _, found = two_phase
    left = left_in(folder)
    moved, norm = (math.sqrt((left[name] ** 2).sum()) for name in ("moved", "norm"))
    assert moved == pytest.approx(found["filter_delta_l2"], abs=1e-6)
    assert moved / norm == pytest.approx(found["filter_delta_relative"], abs=1e-6)
    assert found["filter_delta_l2"] > 0
    assert (folder / FILTERS).stat().st_size < 100_000


def test_a_run_whose_filters_are_frozen_leaves_them_unmoved(two_phase, tmp_path):
    _, config, _ = two_phase
    results(replace(config, epochs=0, save_dir=str(tmp_path)))
    left = left_in(tmp_path)
    assert not any(left[name].any() for name in left if name.endswith("moved"))
    assert np.array_equal(left["block1_psi_after"], left["block1_psi_before"])


@pytest.mark.parametrize("more", [{"lowpass_last": True}, {"modulus_type": "phase_relu"}, {"mixing_horizon": 3}])
@pytest.mark.parametrize("random_init", [False, True])
def test_any_network_has_its_filters_in_a_small_file_and_draws_no_random_numbers_for_it(more, random_init, tmp_path):
    config = ScatteringConfig(n_blocks=3, L=8, kernel_size=7, random_init=random_init, joint=random_init, **more)
    net, state = ScatteringNet(config, image_size=32, num_classes=10), torch.get_rng_state()
    with torch.no_grad():
        for weight in net.extractor_parameters():
            weight.mul_(1.5)
    save_filters(tmp_path, net)
    assert torch.equal(torch.get_rng_state(), state)
    left = left_in(tmp_path)
    assert (tmp_path / FILTERS).stat().st_size < 300_000
    assert left["moved"] / left["norm"] == pytest.approx([0.5] * 3)
    assert left["block2_phi_moved"] == pytest.approx([0.5] * 27)
    assert ("block3_psi_moved" in left) == ("lowpass_last" not in more)
    assert left["block3_L"] == (0 if "lowpass_last" in more else 8)


def test_of_very_many_filters_movements_are_kept_by_rank(tmp_path):
    config = ScatteringConfig(n_blocks=4, L=15, kernel_size=3, mixing_horizon=1)
    net = ScatteringNet(config, image_size=32, num_classes=10)
    psi_real = net.blocks[3].psi_real
    with torch.no_grad():
        psi_real += torch.arange(len(psi_real))[:, None, None, None] * 1e-6
    save_filters(tmp_path, net)
    left = left_in(tmp_path)
    moved = left["block4_psi_moved"]
    assert len(psi_real) == 3 * 16**3 * 15 > MOST_MOVEMENTS == len(moved)
    assert (np.diff(moved) <= 0).all()
    assert moved[-1] == 0 < moved[0]
    assert left["block4_psi_n"] == len(psi_real)
    before = initial_blocks(config)[3].psi_real
    exact = ((psi_real - before).square().sum((1, 2, 3)) / 1).sqrt()
    whole = (before.square().sum((1, 2, 3)) + net.blocks[3].psi_imag.square().sum((1, 2, 3))).sqrt()
    shown = left["block4_psi_shown"]
    assert left["block4_psi_moved_shown"] == pytest.approx((exact / whole).detach().numpy()[shown], rel=1e-3)
    assert (tmp_path / FILTERS).stat().st_size < 300_000
