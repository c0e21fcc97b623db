"""What stands between airbench's convolutions, forward and backward on a GPU: the library's layers and our kernels.

Both are replayed as CUDA graphs, as in a run's steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.table import rows_of
from benchmarks.gpu.timing import Step, in_turns, release
from trainables.airbench import chains
from trainables.airbench.config import WIDTHS
from trainables.airbench.network import BatchNorm
from trainables.graphs import Replayable, capture_stream

LIBRARY, OWN = "library", "own kernels"
BATCH, DTYPE = 1024, torch.float16

Chain = Callable[[Tensor, BatchNorm, int], Tensor]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Maps [BATCH, channels, size, size] that are pooled (`side` 2, or 1 for not at all), normalised and passed on."""

    channels: int
    size: int
    side: int

    @property
    def label(self) -> str:
        """The maps, and whether they are pooled."""
        return f"airbench chain {self.channels} x {self.size} x {self.size}{', pooled' if self.side > 1 else ''}"

    def nbytes(self) -> int:
        """That a step has to move at least: maps and output written once forward; backward their gradients, and what
        was pooled."""
        positions = 2 * self.size**2 + 3 * (self.size // self.side) ** 2
        return BATCH * self.channels * positions * DTYPE.itemsize


def cases() -> list[Case]:
    """Both halves of each group of the network."""
    found, size = [], 31
    for channels in WIDTHS:
        found.append(Case(channels=channels, size=size, side=2))
        size //= 2
        found.append(Case(channels=channels, size=size, side=1))
    return found


def measure(device: torch.device, ceilings: Ceilings, *, repeats: int) -> list[dict[str, Any]]:
    """Rows of all cases; those of the library alone where our kernels cannot be used."""
    forms: Mapping[str, Chain] = {LIBRARY: library}
    if chains.can_fuse(device, DTYPE):
        forms = {**forms, OWN: own}
    rows = []
    for case in cases():
        makers = {name: partial(_step, case, chain, device) for name, chain in forms.items()}
        measured = in_turns(makers, device, repeats=repeats, warm_up=1)
        floors = dict.fromkeys(forms, case.nbytes() / ceilings.bandwidth)
        rows += rows_of(case.label, BATCH, "images/s", measured, {OWN: LIBRARY}, floors)
        release()
    return rows


def library(x: Tensor, norm: BatchNorm, side: int) -> Tensor:
    """The chain by the library's layers."""
    return F.gelu(norm(F.max_pool2d(x, side) if side > 1 else x))


def own(x: Tensor, norm: BatchNorm, side: int) -> Tensor:
    """The chain by our kernels."""
    return chains.norm_gelu(x, norm, norm.bias, side)


def _step(case: Case, chain: Chain, device: torch.device) -> Step:
    """Forward and backward of a case."""
    size = (BATCH, case.channels, case.size, case.size)
    x = torch.randn(size, device=device, dtype=DTYPE).contiguous(memory_format=torch.channels_last).requires_grad_()
    norm = BatchNorm(case.channels, 0.6).to(device)
    grad = torch.randn_like(chain(x, norm, case.side))

    def work() -> None:
        torch.autograd.grad(chain(x, norm, case.side), (x, norm.bias), grad)

    step = Replayable(work, device)
    with capture_stream(device):
        step()
    step.capture()
    return step
