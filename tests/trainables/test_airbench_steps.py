"""Steps whose batch and rates come from tensors, as a GPU replays them, against steps that are taken one by one.

On a CPU nothing is captured, and a replay is a call; what is tested here is that state, order and schedule are right.
"""

from dataclasses import replace

import pytest
import torch

from trainables.airbench.config import ABLATIONS
from trainables.airbench.steps import CapturedSteps, SingleSteps
from trainables.airbench.warm_setup import WarmSetup
from trainables.data.catalog import locate
from trainables.distributed import Workers

SHORT = {"batch_size": 64, "epochs": 0.25, "freeze_epochs": 0.1, "tta": "none", "precision": "float32"}


def trained(setup, steps, config):
    """The network's state, and the sums of losses, after half an epoch and the beginning of another one."""
    n, number, losses = len(setup.images), 0, []
    for epoch, last in enumerate((config.total_steps(n) - 2, config.total_steps(n))):
        order = torch.randperm(n, generator=torch.Generator().manual_seed(epoch))
        steps.begin_epoch(setup.images.pixels.flip(3) if epoch else setup.images.pixels, order)
        for in_epoch in range(last - number):
            learns = number < config.freeze_epochs * (n // config.batch_size)
            steps.take(in_epoch, number, stem_learns=learns)
            number += 1
        losses.append(steps.loss())
    return {name: value.clone() for name, value in setup.net.state_dict().items()}, losses


@pytest.mark.parametrize("name", ["baseline", "muon"])
def test_steps_from_tensors_are_steps_one_by_one(name):
    config = replace(ABLATIONS[name], **SHORT)
    setup = WarmSetup(replace(config, seed=0), locate("digits", None), Workers.current())
    captured = CapturedSteps(setup.images, setup._step(config))
    assert captured.capture(freezes=config.freeze) == "there is no GPU"
    runs = {}
    for seed, kind in ((1, "single"), (2, "captured"), (1, "captured")):
        own = replace(config, seed=seed)
        setup.fresh_net(own)
        if kind == "captured":
            captured.restart()
        steps = captured if kind == "captured" else SingleSteps(setup.images, setup._step(own))
        runs[seed, kind] = trained(setup, steps, own)
    (state, losses), (expected, expected_losses) = runs[1, "captured"], runs[1, "single"]
    assert losses == pytest.approx(expected_losses, rel=1e-3)
    for field, value in expected.items():
        torch.testing.assert_close(state[field], value, rtol=1e-3, atol=1e-3, msg=field)
    assert not torch.equal(runs[2, "captured"][0]["head.weight"], expected["head.weight"])
