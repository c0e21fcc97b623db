"""Shapes of networks, and the definition that they are compared with."""

import torch

from tests.reference import PlainNet
from trainables.scattering import ScatteringNet

SHAPES = {
    "groups": {"n_blocks": 3, "L": 4, "kernel_size": 5, "mixing_horizon": 5},
    "one_channel_a_group": {"n_blocks": 2, "L": 3, "kernel_size": 3, "mixing_horizon": 1},
    "phase_relu": {"n_blocks": 3, "L": 4, "modulus_type": "phase_relu", "mixing_horizon": 15},
    "down_to_one_pixel": {"n_blocks": 5, "L": 2, "lowpass_last": True},
    "gap": {"n_blocks": 2, "L": 8, "global_avg_pool": True},
}


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b).norm() / b.norm()).detach())


def plain(net: ScatteringNet) -> PlainNet:
    """The definition with the weights of `net`."""
    reference = PlainNet.of(net.config, image_size=net.image_size, num_classes=net.num_classes)
    reference.load_state_dict(net.state_dict())
    return reference
