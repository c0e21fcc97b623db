"""What our own kernels work out on a GPU, which needs Triton and a C compiler; elsewhere they return None."""

import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from trainables.messages import first_line

LARGEST_TAPS = 8
"""Side of the largest filters, fused with the 2x2 kernel; the kernel is written out tap by tap, and takes a minute to
compile for sides of 12."""

_refused: set[str] = set()
"""What is not worked out by our own kernels any more."""


def filtered(x: Tensor, taps: Tensor, collapse: float | None, epsilon: float) -> Tensor | None:
    """What `wavelet_kernel.filtered` returns for a tensor on a GPU; None where the kernel cannot be used.

    The reason is printed once.
    """
    if not x.is_cuda or taps.shape[-1] > LARGEST_TAPS:
        return None
    return _unless_refused("frozen wavelets", lambda: _wavelet_kernel().filtered(x, taps, collapse, epsilon))


def collapsed(y: Tensor, weights: Tensor | None, groups: int, L: int, epsilon: float) -> Tensor | None:
    """What `modulus_kernel.forward` returns for a tensor on a GPU, with its gradients; None as `filtered`."""
    if not y.is_cuda or torch.compiler.is_compiling():
        return None
    return _unless_refused("moduli", lambda: _Collapsed.apply(y, weights, groups, L, epsilon))


class _Collapsed(torch.autograd.Function):
    """Reads and writes the maps once forward and once backward."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, weights: Tensor | None, groups: int, L: int, epsilon: float) -> Tensor:
        ctx.save_for_backward(y, weights)
        ctx.constants = groups, L, epsilon
        out: Tensor = _modulus_kernel().forward(y, weights, groups, L, epsilon)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        y, weights = ctx.saved_tensors
        grad_y, grad_weights = _modulus_kernel().backward(grads[0], y, weights, *ctx.constants)
        return grad_y, grad_weights, None, None, None


def _unless_refused(what: str, work: Callable[[], Tensor]) -> Tensor | None:
    """The result of the work; None where it failed now or before for want of what kernels need."""
    if what in _refused:
        return None
    try:
        return work()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # Triton raises errors of many kinds where it cannot compile
        _refused.add(what)
        reason = f"{type(error).__name__}: {first_line(error)}"
        print(f"{what} are worked out by PyTorch's own operations ({reason})", file=sys.stderr, flush=True)
        return None


@cache
def _wavelet_kernel() -> ModuleType:
    from trainables.scattering import wavelet_kernel

    return wavelet_kernel


@cache
def _modulus_kernel() -> ModuleType:
    from trainables.scattering import modulus_kernel

    return modulus_kernel
