"""Layers that are written for the caches of a CPU; elsewhere, and in compiled code, they are the library's own.

A convolution followed by 2x2 max-pooling writes a map four times as large as what is kept, reads it, and writes and
reads its gradient again. On a CPU both are done for some images at a time, so that the map never leaves the cache. Of
an odd map (31, 15 and 7 pixels here) pooling drops the last row and column, which are then not computed at all. The
stem takes a dozen products for each output, for which the library has no fast convolution; a matrix product is faster.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.device import on_cpu

CHUNK = 128
"""Images that are treated at a time; their maps take some megabytes."""


def conv_pool(x: Tensor, weight: Tensor) -> Tensor:
    """max_pool2d(conv2d(x, weight, padding=1), 2): [B, C, H, W], [D, C, 3, 3] -> [B, D, H // 2, W // 2].

    `x` and `weight` have the same type.
    """
    if not on_cpu(x) or torch.compiler.is_compiling():
        return F.max_pool2d(F.conv2d(x, weight, padding=1), 2)
    return _ConvPool.apply(x, weight)


def whitened(x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """conv2d(x, weight, bias) for 2x2 filters, [B, 3, H, W] -> [B, D, H - 1, W - 1] of `dtype`.

    A frozen weight is applied in the type of `x`, since whitening takes small differences of neighbours, which half
    precision would round away.
    """
    if not on_cpu(x) or torch.compiler.is_compiling() or weight.requires_grad:
        return F.conv2d(x.to(dtype), weight.to(dtype), bias.to(dtype))
    return _Whitened.apply(x, weight, bias, dtype)


class _Whitened(torch.autograd.Function):
    """The convolution as a matrix product over patches, with a gradient of the bias alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        B, C, H, W = x.shape
        D = len(weight)
        pixels = x.permute(0, 2, 3, 1).contiguous()
        out = torch.empty((B, H - 1, W - 1, D), dtype=dtype)
        filters = weight.permute(0, 2, 3, 1).reshape(D, 4 * C)
        for images, maps in zip(pixels.split(CHUNK), out.split(CHUNK), strict=True):
            # The pixels of a row of a patch lie side by side in memory, so a patch consists of two stretches.
            patches = images.as_strided((len(images), H - 1, W - 1, 2, 2 * C), (H * W * C, W * C, C, W * C, 1))
            maps.view(-1, D).copy_(F.linear(patches.reshape(-1, 4 * C), filters, bias))
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor, None]:
        return None, None, grads[0].sum((0, 2, 3), dtype=torch.float32), None


class _ConvPool(torch.autograd.Function):
    """Convolution and pooling of some images at a time, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        B, _, H, W = x.shape
        pooled = torch.empty(
            (B, len(weight), H // 2, W // 2), dtype=x.dtype, memory_format=torch.channels_last, device=x.device
        )
        # Position of the maximum in the map that was pooled; it has fewer than 32 x 32 pixels, so two bytes do.
        where = torch.empty_like(pooled, dtype=torch.int16)
        for images, out, out_where in zip(x.split(CHUNK), pooled.split(CHUNK), where.split(CHUNK), strict=True):
            values, indices = F.max_pool2d_with_indices(F.conv2d(_padded(images), weight), 2)
            out.copy_(values)
            out_where.copy_(indices)
        ctx.save_for_backward(x, weight, where)
        return pooled

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight, where = ctx.saved_tensors
        needs_x = ctx.needs_input_grad[0]
        grad_x = torch.empty_like(x) if needs_x else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        even = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
        chunks = (t.split(CHUNK) for t in (x, grads[0], where))
        for i, (images, grad, indices) in enumerate(zip(*chunks, strict=True)):
            padded = _padded(images)
            grad_map = F.max_unpool2d(grad, indices.long(), 2, output_size=even)
            own_x, own_weight, _ = torch.ops.aten.convolution_backward(
                grad_map, padded, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [needs_x, True, False]
            )
            grad_weight += own_weight
            if grad_x is not None:
                grad_x[i * CHUNK : i * CHUNK + len(images)] = own_x[:, :, 1 : 1 + x.shape[2], 1 : 1 + x.shape[3]]
        return grad_x, grad_weight.to(weight.dtype)


def _padded(x: Tensor) -> Tensor:
    """Pad with zeros all around, but not to the right and below where pooling drops what they would reach."""
    H, W = x.shape[2:]
    return F.pad(x, (1, 1 - W % 2, 1, 1 - H % 2))
