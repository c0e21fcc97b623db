"""Whether a GPU's frozen wavelets are filtered by our own kernel, which needs Triton and a C compiler."""

import sys
from functools import cache
from types import ModuleType

from torch import Tensor

from trainables.messages import first_line

LARGEST_TAPS = 8
"""Side of the largest filters, fused with the 2x2 kernel; the kernel is written out tap by tap, and takes a minute to
compile for sides of 12."""

_refusals: list[str] = []
"""Why the kernel is not used any more, in a line; empty where it is."""


def filtered(x: Tensor, taps: Tensor, collapse: float | None, epsilon: float) -> Tensor | None:
    """What `wavelet_kernel.filtered` returns for a tensor on a GPU; None where the kernel cannot be used.

    The reason is printed once.
    """
    if not x.is_cuda or taps.shape[-1] > LARGEST_TAPS or _refusals:
        return None
    try:
        out: Tensor = _module().filtered(x, taps, collapse, epsilon)
    except Exception as error:  # Triton raises errors of many kinds where it cannot compile
        _refusals.append(f"{type(error).__name__}: {first_line(error)}")
        print(f"frozen wavelets are filtered by PyTorch's convolutions ({_refusals[0]})", file=sys.stderr, flush=True)
        return None
    return out


@cache
def _module() -> ModuleType:
    from trainables.scattering import wavelet_kernel

    return wavelet_kernel
