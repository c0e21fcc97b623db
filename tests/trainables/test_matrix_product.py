"""The speed of a matrix product, and what training makes of it."""

import itertools
import time

import pytest
import torch

from trainables import airbench, scattering
from trainables.matrix_product import matrix_product
from trainables.scattering import ScatteringConfig


def test_a_product_is_timed_within_half_a_second_with_the_threads_asked_for():
    before = torch.get_num_threads()
    started = time.perf_counter()
    speed = matrix_product("cpu", 1)
    assert time.perf_counter() - started < 5, "of a busy machine"
    assert torch.get_num_threads() == before
    assert 1e8 < speed < 1e13


def test_the_fastest_product_counts_which_takes_two_operations_for_each_pair_of_factors(monkeypatch):
    durations = itertools.chain([9.0, 0.5, 0.002, 0.3], itertools.repeat(0.25))
    monkeypatch.setattr("trainables.matrix_product._seconds_of", lambda factor: next(durations))
    assert matrix_product("cpu", 1) == pytest.approx(2 * 384**3 / 0.002)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_training_reaches_a_part_of_it(device):
    for trainable, config in ((scattering, ScatteringConfig()), (airbench, airbench.ABLATIONS["mirror"])):
        reach = trainable.reach(config, 1, device)
        assert 0 < reach["fraction"] < 1
        assert 0 <= reach["seconds_per_image"] < 0.01


def test_a_step_on_a_gpu_costs_each_image_less_in_larger_batches():
    small, large = (scattering.reach(ScatteringConfig(global_batch_size=n), 1, "cuda") for n in (64, 256))
    assert small["seconds_per_image"] == pytest.approx(4 * large["seconds_per_image"])
