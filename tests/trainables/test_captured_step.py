"""Scattering steps as a GPU replays them, against steps as they are.

On a CPU nothing is captured and a replay is a call, so what is tested here is which batches go which way, and that the
numbers and the saved states are the same; tests/trainables/test_on_gpu.py has the rest.
"""

import pytest
import torch

from tests.trainables.training import SMALL
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig, ScatteringNet
from trainables.scattering.captured import WARM_UP_STEPS, CapturedStep
from trainables.scattering.phases import begin_phase

CPU = torch.device("cpu")
ALONE = Workers(rank=0, world_size=1, device=CPU)
SIZES = (*[16] * (WARM_UP_STEPS + 1), 10, *[16] * 3)
"""Of batches; the smaller one is an epoch's last."""


def trained(config, phase, *, captured):
    net = ScatteringNet(config, image_size=32, num_classes=10)
    step = begin_phase(net, config, ALONE, phase)
    if captured:
        step.captured = CapturedStep(step._take, CPU)
        step._let_be_captured()
    net.train()
    generator = torch.Generator().manual_seed(1)
    total, settling = torch.zeros((), dtype=torch.float64), []
    for i, size in enumerate(SIZES):
        step.set_rates([0.01 / (1 + i), 0.02 / (1 + i)][: len(step.optimizer.param_groups)])
        x = torch.randn(size, 3, 32, 32, generator=generator)
        total += step(x, torch.randint(10, (size,), generator=generator), size)
        settling.append(step.is_settling)
    return net.state_dict(), step, total.item(), settling


@pytest.mark.parametrize(("phase", "fields"), [("head", {}), ("finetune", {"l2_penalty": 0.1}), ("joint", {})])
def test_replayed_steps_have_the_numbers_of_steps_as_they_are(phase, fields):
    config = ScatteringConfig(**SMALL, global_batch_size=16, **fields)
    state, step, total, settling = trained(config, phase, captured=True)
    expected, plain, expected_total, _ = trained(config, phase, captured=False)
    assert total == pytest.approx(expected_total, rel=1e-6)
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert settling == [True] * WARM_UP_STEPS + [False] * (len(SIZES) - WARM_UP_STEPS)
    assert step.captured.launched == "one by one: there is no GPU"
    one, other = step.optimizer_state(), plain.optimizer_state()
    for own, theirs in zip(one["param_groups"], other["param_groups"], strict=True):
        assert own == {**theirs, "lr": pytest.approx(theirs["lr"])}
        assert isinstance(own["lr"], float)


def test_a_state_that_was_saved_on_a_gpu_is_loaded_on_a_cpu_and_the_other_way_round():
    config = ScatteringConfig(**SMALL, global_batch_size=16)
    _, captured, *_ = trained(config, "finetune", captured=True)
    _, plain, *_ = trained(config, "finetune", captured=False)
    plain.load_optimizer(captured.optimizer_state())
    assert all(isinstance(group["lr"], float) and not group["capturable"] for group in plain.optimizer.param_groups)
    captured.load_optimizer(plain.optimizer_state())
    assert all(
        isinstance(group["lr"], torch.Tensor) and group["capturable"] for group in captured.optimizer.param_groups
    )
