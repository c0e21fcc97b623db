"""What learns in a phase, and at which rates."""

import torch
from torch import Tensor

from trainables.distributed import Workers
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.network import ScatteringNet, initial_blocks
from trainables.scattering.step import Step


def begin_phase(net: ScatteringNet, config: ScatteringConfig, workers: Workers, phase: str) -> Step:
    """Let learn what learns in a phase ("head", "finetune" or "joint"), and return what trains it, step by step."""
    if phase == "head":
        net.freeze_extractor()
    else:
        net.unfreeze_extractor()
    groups = [{"params": net.head_parameters(), "lr": config.lr_head}]
    if phase != "head":
        rate = config.lr_extractor if phase == "finetune" else config.lr_head
        groups.insert(0, {"params": list(net.extractor_parameters()), "lr": rate})
    optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)
    anchored = phase == "finetune" and config.l2_penalty
    return Step(net, optimizer, config, workers, anchor=anchor(config, workers.device) if anchored else None)


def anchor(config: ScatteringConfig, device: torch.device) -> list[Tensor]:
    """The extractor before fine-tuning, which is its initial state: the head phase leaves it alone."""
    return [p.detach().to(device) for p in initial_blocks(config).parameters()]
