"""What a GPU can do at most: products of large matrices, and copies within its memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from benchmarks.gpu.timing import seconds_of

SIDES = {"cuda": 8192, "cpu": 256}
COPIED = {"cuda": 2**31, "cpu": 2**22}
"""Bytes that are copied."""
REPEATS = 5


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """Rates that no step can exceed."""

    flops: Mapping[str, float]
    """Operations per second of a product in the precisions "float32" (TF32 on a GPU), "bfloat16" and "float16"."""
    bandwidth: float
    """Bytes per second, read and written."""

    @classmethod
    def of(cls, device: torch.device) -> "Ceilings":
        """Measured on a device."""
        flops = {name: _product(device, getattr(torch, name)) for name in ("float32", "bfloat16", "float16")}
        return cls(flops=flops, bandwidth=_copy(device))

    def seconds(self, precision: str, operations: float, nbytes: float) -> float:
        """The least seconds for so many operations and bytes."""
        return max(operations / self.flops[precision], nbytes / self.bandwidth)


def _product(device: torch.device, dtype: torch.dtype) -> float:
    side = SIDES[device.type]
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        factor = torch.randn(side, side, device=device).to(dtype)
        out = torch.empty_like(factor)
        return 2.0 * side**3 / _fastest(lambda: torch.mm(factor, factor, out=out), device)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _copy(device: torch.device) -> float:
    source = torch.zeros(COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2.0 * source.nbytes / _fastest(lambda: target.copy_(source), device)


def _fastest(work: object, device: torch.device) -> float:
    assert callable(work)
    seconds_of(work, 2, device)
    return min(seconds_of(work, 4, device) for _ in range(REPEATS))
