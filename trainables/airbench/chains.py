"""What stands between the convolutions of a network that trains on a GPU, in a few passes over memory.

The library pools, normalises and applies GELU one after the other, each with a map written and read, and keeps the
place of each maximum in 8 bytes. Here pooling takes the norm's statistics as it goes (2 bits a maximum), norm and GELU
are one pass, and backward two: the sums that the norm's gradient needs, and the gradient of the convolution's output.
Statistics and all that happens within a pass are float32, and what is written is rounded once (the library rounds the
norm's output as well). See `chain_kernels`.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.triton_kernels import KernelModule

PROGRAMS = 1024
"""Programs that take sums, at most, each over the tiles that fall to it; eight for each processor of an H200."""
CHANNELS = 64
"""Channels of a tile at most, so that a row of it is 128 bytes of half precision."""
POOLED_ROWS, ROWS, MERGED = 16, 32, 256
"""Positions of a tile: of several windows each, and of single values; and programs whose moments are merged at once."""

kernels = KernelModule("trainables.airbench.chain_kernels", "pooling, norms and GELU are PyTorch's own")


def can_fuse(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether maps of a type on a device go through our kernels: on a GPU, but not in code that is being compiled.

    The kernels are tried out when that is first asked; where one cannot be used the reason is printed once.
    """
    if torch.compiler.is_compiling() or device.type != "cuda":
        return False
    return kernels.attempt(lambda _: _tried(device, dtype)) is not None


def norm_gelu(x: Tensor, norm: nn.BatchNorm2d, bias: Tensor, pool: int = 1) -> Tensor:
    """gelu(norm(max_pool2d(x, pool))) in training for a norm of weight 1, with `bias` in place of its own.

    [B, C, H, W] -> [B, C, H // pool, W // pool], channels last; `pool` is 1 or 2. The running statistics are updated.
    """
    return _Chain.apply(x, bias, norm, pool)


def bias_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """gelu(x + bias) for [B, C, H, W] and [C], channels last."""
    return _Chain.apply(x, bias, None, 1)


def max_pool(x: Tensor, side: int) -> Tensor:
    """max_pool2d(x, side) for a side of 2 or 3, channels last."""
    return _MaxPool.apply(x, side)


class _Chain(torch.autograd.Function):
    """Pooling (if any), norm or bias, and GELU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, norm: nn.BatchNorm2d | None, side: int) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        C = x.shape[1]
        if norm is None:
            pooled, places, statistics = x, None, torch.ones((2, C), device=x.device)
            statistics[0].zero_()
        else:
            pooled, places, moments = _pooled(x, side, has_moments=True)
            statistics = _merged(moments, norm, pooled.numel() // C)
        y, rows = torch.empty_like(pooled), pooled.numel() // C
        wide, blocks = _channel_blocks(C)
        kernels.module.normalise_and_gelu[(_ceil(rows, ROWS), blocks)](
            pooled, y, statistics, bias, rows, C=C, ROWS=ROWS, CHANNELS=wide
        )
        ctx.save_for_backward(pooled, places, statistics, bias)
        ctx.size, ctx.side, ctx.is_norm = x.shape, side, norm is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        pooled, places, statistics, bias = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        C = pooled.shape[1]
        rows = pooled.numel() // C
        wide, blocks = _channel_blocks(C)
        programs = _programs(rows, ROWS, blocks)
        parts = torch.empty((programs, 2, C), device=pooled.device)
        kernels.module.sums_of_gradient[(programs, blocks)](
            grad, pooled, statistics, bias, parts, rows, C=C, ROWS=ROWS, CHANNELS=wide
        )
        sums = parts.sum(0)
        of_x = None
        if ctx.needs_input_grad[0]:
            share = 1 / rows if ctx.is_norm else 0.0
            of_x = _unpooled(grad, places, ctx.size, ctx.side, (pooled, statistics, bias, sums, share))
        return of_x, sums[0] if ctx.needs_input_grad[1] else None, None, None


class _MaxPool(torch.autograd.Function):
    """Pooling alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, side: int) -> Tensor:
        pooled, places, _ = _pooled(x.contiguous(memory_format=torch.channels_last), side, has_moments=False)
        ctx.save_for_backward(places)
        ctx.size, ctx.side = x.shape, side
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        return _unpooled(grad, ctx.saved_tensors[0], ctx.size, ctx.side, None), None


Moments = tuple[Tensor, Tensor]
"""The number of positions, [programs], and their mean and squares, [programs, 2, C], as each program has found them."""


def _pooled(x: Tensor, side: int, *, has_moments: bool) -> tuple[Tensor, Tensor | None, Moments | None]:
    """Maxima, their places, and the moments of the maxima; of windows of side 1, `x` itself and its moments."""
    B, C, H, W = x.shape
    pooled, places, moments = x, None, None
    images = _images_of_a_byte(side)
    if side > 1:
        pooled = _maps((B, C, H // side, W // side), x.dtype, x.device)
        places = _maps((_ceil(B, images), C, H // side, W // side), torch.uint8, x.device)
    else:  # positions are all alike, whatever their map
        B, H, W = B * H * W, 1, 1
    wide, blocks = _channel_blocks(C)
    tile = POOLED_ROWS if side > 1 else ROWS
    programs = _programs(_ceil(B, images) * (H // side) * (W // side), tile, blocks)
    if has_moments:
        moments = torch.empty(programs, device=x.device), torch.empty((programs, 2, C), device=x.device)
    kernels.module.pool_and_moments[(programs, blocks)](
        *(x, pooled, places, *(moments or (None, None)), B),
        *(H, W, C, side, images),
        MOMENTS=has_moments,
        ROWS=tile,
        CHANNELS=wide,
    )
    return pooled, places, moments


def _merged(moments: Moments, norm: nn.BatchNorm2d, positions: int) -> Tensor:
    """Mean and 1 / deviation of each channel, float32 [2, C]."""
    counts, found = moments
    C = found.shape[2]
    statistics = torch.empty((2, C), device=found.device)
    wide = min(16, _channel_blocks(C)[0])
    kernels.module.merge_moments[(_ceil(C, wide),)](
        *(counts, found, statistics, norm.running_mean, norm.running_var),
        *(len(counts), positions, norm.momentum, norm.eps),
        C=C,
        PROGRAMS=MERGED,
        CHANNELS=wide,
    )
    return statistics


def _unpooled(grad: Tensor, places: Tensor | None, size: torch.Size, side: int, norm: tuple[Any, ...] | None) -> Tensor:
    """The gradient of what was pooled, from that of the maxima.

    With `norm`, which is (maxima, statistics, bias, sums, share), it is worked out from that of the chain's output.
    """
    B, C, H, W = size
    out = _maps((B, C, H, W), grad.dtype, grad.device)
    if side == 1:
        B, H, W = B * H * W, 1, 1
    images = _images_of_a_byte(side)
    wide, blocks = _channel_blocks(C)
    tile = POOLED_ROWS if side > 1 else ROWS
    windows = _ceil(B, images) * _ceil(H, side) * _ceil(W, side)
    pooled, *of_norm = norm or (None, None, None, None, 0.0)
    kernels.module.gradient_of_input[(_ceil(windows, tile), blocks)](
        *(grad, pooled, places, *of_norm, out, B),
        *(H, W, C, side, images),
        NORM=norm is not None,
        ROWS=tile,
        CHANNELS=wide,
    )
    return out


@cache
def _tried(device: torch.device, dtype: torch.dtype) -> bool:
    """Pass a small map forward and backward through each kernel, whose errors are raised."""
    with torch.enable_grad():
        x = torch.zeros((2, 8, 6, 6), device=device, dtype=dtype, requires_grad=True)
        norm = nn.BatchNorm2d(8, device=device)
        torch.autograd.grad(max_pool(norm_gelu(x, norm, norm.bias, 2), 3).sum(), (x, norm.bias))
    return True


def _maps(size: tuple[int, int, int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.empty(size, dtype=dtype, device=device, memory_format=torch.channels_last)


def _images_of_a_byte(side: int) -> int:
    """Images whose places of maxima share a byte: 2 bits for windows of side 2, 4 for those of side 3."""
    return {1: 1, 2: 4, 3: 2}[side]


def _channel_blocks(C: int) -> tuple[int, int]:
    """The channels of a tile, a power of two, and the number of tiles side by side."""
    wide = min(CHANNELS, 1 << (C - 1).bit_length())
    return wide, _ceil(C, wide)


def _programs(rows: int, tile: int, blocks: int) -> int:
    """Programs among which the tiles of so many rows are shared out."""
    return min(_ceil(rows, tile), PROGRAMS // blocks)


def _ceil(n: int, of: int) -> int:
    return -(-n // of)
