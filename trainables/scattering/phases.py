"""Begins a phase: which parameters learn in it, and at which rates."""

import torch
from torch import Tensor

from trainables.distributed import Workers
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.network import ScatteringNet, initial_blocks
from trainables.scattering.step import Step, make_optimizer


def begin_phase(net: ScatteringNet, config: ScatteringConfig, workers: Workers, phase: str) -> Step:
    """Let the parameters of a phase ("head", "finetune" or "joint") learn, and return what trains them step by step."""
    if phase == "head":
        net.freeze_extractor()
    else:
        net.unfreeze_extractor()
    optimizer = make_optimizer(net, config, phase)
    anchored = phase == "finetune" and config.l2_penalty
    return Step(net, optimizer, config, workers, anchor=anchor(config, workers.device) if anchored else None)


def anchor(config: ScatteringConfig, device: torch.device) -> list[Tensor]:
    """The extractor's parameters before fine-tuning: the initial ones, as the head phase does not change them."""
    return [p.detach().to(device) for p in initial_blocks(config).parameters()]
