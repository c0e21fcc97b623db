"""What our own kernels work out on a GPU; elsewhere, and where they cannot be used, these functions return None."""

from typing import Any

import torch
from torch import Tensor

from trainables.triton_kernels import KernelModule

LARGEST_TAPS = 8
"""Side of the largest filters, fused with the 2x2 kernel; the kernel is written out tap by tap, and takes a minute to
compile for sides of 12."""

wavelets = KernelModule(
    "trainables.scattering.wavelet_kernel", "frozen wavelets are filtered by PyTorch's convolutions"
)
moduli = KernelModule("trainables.scattering.modulus_kernel", "moduli are worked out by PyTorch's own operations")


def filtered(x: Tensor, taps: Tensor, collapse: float | None, epsilon: float) -> Tensor | None:
    """What `wavelet_kernel.filtered` returns for a tensor on a GPU; None where the kernel cannot be used.

    The reason is printed once.
    """
    if not x.is_cuda or taps.shape[-1] > LARGEST_TAPS:
        return None
    return wavelets.attempt(lambda kernel: kernel.filtered(x, taps, collapse, epsilon))


def collapsed(y: Tensor, weights: Tensor | None, groups: int, L: int, epsilon: float) -> Tensor | None:
    """What `modulus_kernel.forward` returns for a tensor on a GPU, with its gradients; None as `filtered`."""
    if not y.is_cuda or torch.compiler.is_compiling():
        return None
    return moduli.attempt(lambda _: _Collapsed.apply(y, weights, groups, L, epsilon))


class _Collapsed(torch.autograd.Function):
    """Reads and writes the maps once forward and once backward."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, weights: Tensor | None, groups: int, L: int, epsilon: float) -> Tensor:
        ctx.save_for_backward(y, weights)
        ctx.constants = groups, L, epsilon
        out: Tensor = moduli.module.forward(y, weights, groups, L, epsilon)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        y, weights = ctx.saved_tensors
        grad_y, grad_weights = moduli.module.backward(grads[0], y, weights, *ctx.constants)
        return grad_y, grad_weights, None, None, None
