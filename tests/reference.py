"""The scattering network as its definition reads: full-resolution convolutions, then the 2x2 kernel. Slow and plain.

Shares no code with the implementation but its parameters' names, so that a state_dict of one loads into the other.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainBlock(nn.Module):
    """One block of C input channels with a 'same' convolution for each of phi, Re psi and Im psi."""

    def __init__(self, C: int, *, L: int, K: int, groups: int, phase_relu: bool, lowpass_only: bool) -> None:
        super().__init__()
        c = C // groups
        self.groups, self.lowpass_only = groups, lowpass_only
        self.phi = nn.Parameter(torch.zeros(C, c, K, K))
        if not lowpass_only:
            self.psi_real = nn.Parameter(torch.zeros(C * L, c, K, K))
            self.psi_imag = nn.Parameter(torch.zeros(C * L, c, K, K))
        self.phase_relu = phase_relu and not lowpass_only
        if self.phase_relu:
            self.collapse = nn.Parameter(torch.full((C * L, 4), 1 / math.sqrt(2)))
        self.pool = nn.Parameter(torch.full((2, 2), 0.25))

    def filtered(self, x: Tensor, weight: Tensor) -> Tensor:
        y = F.conv2d(x, weight, padding="same", groups=self.groups)
        channels = y.shape[1]
        return F.conv2d(y, self.pool.expand(channels, 1, 2, 2), stride=2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        low = self.filtered(x, self.phi)
        if self.lowpass_only:
            return low
        re, im = self.filtered(x, self.psi_real), self.filtered(x, self.psi_imag)
        if not self.phase_relu:
            return torch.cat([low, torch.sqrt(re**2 + im**2 + 1e-8)], dim=1)
        phases = torch.stack([re, im, -re, -im], dim=2).relu()
        return torch.cat([low, (phases * self.collapse[None, :, :, None, None]).sum(2)], dim=1)


class PlainNet(nn.Module):
    """Blocks, batch norm, linear classifier; `groups` gives each block's number of groups."""

    def __init__(
        self,
        *,
        groups: list[int],
        L: int,
        K: int,
        phase_relu: bool,
        lowpass_last: bool,
        gap: bool,
        image_size: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        C, blocks = 3, []
        for i, g in enumerate(groups):
            last = lowpass_last and i == len(groups) - 1
            blocks.append(PlainBlock(C, L=L, K=K, groups=g, phase_relu=phase_relu, lowpass_only=last))
            C = C if last else C * (1 + L)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.BatchNorm2d(C)
        side = 1 if gap else image_size // 2 ** len(groups)
        self.gap, self.classifier = gap, nn.Linear(C * side * side, num_classes)

    @classmethod
    def of(cls, config: Any, *, image_size: int, num_classes: int) -> "PlainNet":
        """The network of a configuration."""
        return cls(
            groups=[shape.groups for shape in config.block_shapes()],
            L=config.L,
            K=config.kernel_size,
            phase_relu=config.modulus_type == "phase_relu",
            lowpass_last=config.lowpass_last,
            gap=config.global_avg_pool,
            image_size=image_size,
            num_classes=num_classes,
        )

    def features(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x.mean((2, 3), keepdim=True) if self.gap else x

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.norm(self.features(x)).flatten(1))
