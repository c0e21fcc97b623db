"""The Triton kernels of a learning block's modulus and of its gradient. Importing this module imports Triton.

A block's convolution leaves, for each of g groups of c = C / g channels, phi [c], re and im [c L] one after the other:
y [B, C (1 + 2L), M, N]. The output [B, C (1 + L), M, N] is the low-pass path of all channels, then the modulus of all
channels and orientations. Both kernels go through the positions of the output, read what belongs to them and write it
once; every element of y belongs to one of them.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS, CHANNELS = 32, 32
"""Positions and channels that a program works on where channels lie side by side in memory; elsewhere their product of
positions of one channel."""


@triton.jit
def _place(row, channel, P, channels, LAST: tl.constexpr):
    """Where [row, channel] lies: a row is a position of an image, b P + p, of tensors [B, channels, P]."""
    if LAST:
        return row.to(tl.int64) * channels + channel
    return ((row // P).to(tl.int64) * channels + channel) * P + row % P


@triton.jit
def _positive(value):
    """The positive part; what is no number stays none."""
    return tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _sources(channel, C, c, L):
    """Channels of y for channels of the output: phi or re, and im; and whether it is a modulus."""
    oriented = channel >= C
    within = tl.where(oriented, channel - C, channel)
    of_group = tl.where(oriented, c * L, c)
    group = within // of_group
    first = group * c * (1 + 2 * L) + within % of_group + tl.where(oriented, c, 0)
    return first, first + c * L, oriented


@triton.jit
def collapse_forward(
    y,
    weights,
    out,
    rows,
    P,
    C,
    c,
    L,
    width,
    EPSILON: tl.constexpr,
    PHASES: tl.constexpr,
    LAST: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Write the output of [ROWS, WIDTH] positions and channels; `weights` [C L, 4] are those of PHASES.

    `width` is the number of channels that y has in memory, of which the last ones may not be its own.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    channel = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)[None, :]
    inside = (row < rows) & (channel < C * (1 + L))
    first, second, oriented = _sources(channel, C, c, L)
    re = tl.load(y + _place(row, first, P, width, LAST), mask=inside, other=0.0).to(tl.float32)
    im = tl.load(y + _place(row, second, P, width, LAST), mask=inside & oriented, other=0.0).to(tl.float32)
    if PHASES:
        of = weights + (channel - C) * 4
        known = oriented & (channel < C * (1 + L))
        value = tl.load(of, mask=known, other=0.0) * _positive(re)
        value += tl.load(of + 1, mask=known, other=0.0) * _positive(im)
        value += tl.load(of + 2, mask=known, other=0.0) * _positive(-re)
        value += tl.load(of + 3, mask=known, other=0.0) * _positive(-im)
    else:
        value = tl.sqrt(re * re + im * im + EPSILON)
    target = out + _place(row, channel, P, C * (1 + L), LAST)
    tl.store(target, tl.where(oriented, value, re).to(out.dtype.element_ty), mask=inside)


@triton.jit
def collapse_backward(
    grad,
    y,
    weights,
    grad_y,
    partial,
    rows,
    P,
    C,
    c,
    L,
    width,
    EPSILON: tl.constexpr,
    PHASES: tl.constexpr,
    LAST: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Write the gradient of y, and of PHASES' weights the sums over ROWS positions, partial [programs, C L, 4]."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    channel = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)[None, :]
    inside = (row < rows) & (channel < C * (1 + L))
    first, second, oriented = _sources(channel, C, c, L)
    modulus = inside & oriented
    of_re, of_im = _place(row, first, P, width, LAST), _place(row, second, P, width, LAST)
    up = tl.load(grad + _place(row, channel, P, C * (1 + L), LAST), mask=inside, other=0.0).to(tl.float32)
    re = tl.load(y + of_re, mask=modulus, other=0.0).to(tl.float32)
    im = tl.load(y + of_im, mask=modulus, other=0.0).to(tl.float32)
    if PHASES:
        own = (channel - C) * 4
        known = oriented & (channel < C * (1 + L))
        by_re = tl.where(re > 0, tl.load(weights + own, mask=known, other=0.0), 0.0)
        by_re -= tl.where(re < 0, tl.load(weights + own + 2, mask=known, other=0.0), 0.0)
        by_im = tl.where(im > 0, tl.load(weights + own + 1, mask=known, other=0.0), 0.0)
        by_im -= tl.where(im < 0, tl.load(weights + own + 3, mask=known, other=0.0), 0.0)
        sums = partial + tl.program_id(0).to(tl.int64) * C * L * 4 + own
        tl.store(sums, tl.sum(up * _positive(re), 0)[None, :], mask=known)
        tl.store(sums + 1, tl.sum(up * _positive(im), 0)[None, :], mask=known)
        tl.store(sums + 2, tl.sum(up * _positive(-re), 0)[None, :], mask=known)
        tl.store(sums + 3, tl.sum(up * _positive(-im), 0)[None, :], mask=known)
    else:
        inverse = 1.0 / tl.sqrt(re * re + im * im + EPSILON)
        by_re, by_im = re * inverse, im * inverse
    own_re = _place(row, first, P, C * (1 + 2 * L), LAST)
    own_im = _place(row, second, P, C * (1 + 2 * L), LAST)
    tl.store(grad_y + own_re, tl.where(oriented, up * by_re, up).to(grad_y.dtype.element_ty), mask=inside)
    tl.store(grad_y + own_im, (up * by_im).to(grad_y.dtype.element_ty), mask=modulus)


def forward(y: Tensor, weights: Tensor | None, groups: int, L: int, epsilon: float) -> Tensor:
    """Low-pass path and modulus [B, C (1 + L), M, N] of y [B, C (1 + 2L), M, N], in its layout.

    `weights` [C L, 4] are those of phase ReLU, None for the complex modulus. What is computed from float16 is float32,
    since its range has neither the squares of large values nor epsilon; otherwise it has the type of y.
    """
    y, last, width = _readable(y)
    B, channels, M, N = y.shape
    C = channels // (1 + 2 * L)
    dtype = torch.float32 if y.dtype == torch.float16 else y.dtype
    layout = torch.channels_last if last else torch.contiguous_format
    out = torch.empty((B, C * (1 + L), M, N), dtype=dtype, device=y.device, memory_format=layout)
    grid, blocks = _programs(B * M * N, C * (1 + L), last)
    collapse_forward[grid](
        *(y, weights, out),
        *(B * M * N, M * N, C, C // groups, L, width),
        EPSILON=epsilon,
        PHASES=weights is not None,
        **blocks,
    )
    return out


def backward(
    grad: Tensor, y: Tensor, weights: Tensor | None, groups: int, L: int, epsilon: float
) -> tuple[Tensor, Tensor | None]:
    """The gradients of y, in its type and layout, and of the weights, where there are some, for that of the output."""
    y, last, width = _readable(y)
    B, channels, M, N = y.shape
    C = channels // (1 + 2 * L)
    layout = torch.channels_last if last else torch.contiguous_format
    grad_y = torch.empty_like(y, memory_format=layout)
    grid, blocks = _programs(B * M * N, C * (1 + L), last)
    partial = None if weights is None else torch.empty((grid[0], C * L, 4), dtype=torch.float32, device=y.device)
    collapse_backward[grid](
        *(grad.contiguous(memory_format=layout), y, weights, grad_y, partial),
        *(B * M * N, M * N, C, C // groups, L, width),
        EPSILON=epsilon,
        PHASES=weights is not None,
        **blocks,
    )
    return grad_y, None if partial is None else partial.sum(0)


def _readable(y: Tensor) -> tuple[Tensor, bool, int]:
    """y, copied only if need be; whether its channels lie side by side, and how many there are of them in memory."""
    if y.is_contiguous():
        return y, False, y.shape[1]
    M, N = y.shape[2:]
    over_images, over_channels, over_rows, over_columns = y.stride()
    if (over_images, over_channels, over_rows) == (M * N * over_columns, 1, N * over_columns):
        return y, True, over_columns
    return y.contiguous(), False, y.shape[1]


def _programs(positions: int, channels: int, last: bool) -> tuple[tuple[int, int], dict[str, int | bool]]:
    """The programs for so many positions and channels of the output, and what tells them their parts."""
    rows, width = (POSITIONS, CHANNELS) if last else (POSITIONS * CHANNELS, 1)
    return (triton.cdiv(positions, rows), triton.cdiv(channels, width)), {"LAST": last, "ROWS": rows, "WIDTH": width}
