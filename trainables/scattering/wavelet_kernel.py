"""The Triton kernel of a block whose channels share their filters. Importing this module imports Triton."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256
"""Positions of a map that a program works on."""


@triton.jit
def filter_and_modulus(
    x,
    taps,
    out,
    C,
    M,
    N,
    L: tl.constexpr,
    L_PADDED: tl.constexpr,
    K: tl.constexpr,
    COLLAPSE: tl.constexpr,
    EPSILON: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Work on a block of positions of one channel of one image.

    `x` is [B, C, M, N], `taps` [1 + 2L, K, K] in float32, `out` [B, C (1 + L), M // 2, N // 2]. The input is read
    through the caches, each output is written once.
    """
    P, Q = M // 2, N // 2
    plane = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    is_inside = at < P * Q
    i, j = at // Q, at % Q
    orientation = tl.arange(0, L_PADDED)
    low = tl.zeros([BLOCK], dtype=tl.float32)
    re = tl.zeros([L_PADDED, BLOCK], dtype=tl.float32)
    im = tl.zeros([L_PADDED, BLOCK], dtype=tl.float32)
    source = x + plane * M * N
    for tap in tl.static_range(K * K):
        row = 2 * i + tap // K - (K - 1) // 2
        column = 2 * j + tap % K - (K - 1) // 2
        is_pixel = is_inside & (row >= 0) & (row < M) & (column >= 0) & (column < N)
        pixel = tl.load(source + row * N + column, mask=is_pixel, other=0.0).to(tl.float32)
        low += tl.load(taps + tap) * pixel
        if L > 0:
            known = orientation < L
            of_re = tl.load(taps + (1 + orientation) * K * K + tap, mask=known, other=0.0)
            of_im = tl.load(taps + (1 + L + orientation) * K * K + tap, mask=known, other=0.0)
            re += of_re[:, None] * pixel[None, :]
            im += of_im[:, None] * pixel[None, :]
    image, channel = plane // C, plane % C
    target = out + image * C * (1 + L) * P * Q
    tl.store(target + channel * P * Q + at, low.to(out.dtype.element_ty), mask=is_inside)
    if L > 0:
        value = tl.sqrt(re * re + im * im + EPSILON) if COLLAPSE is None else COLLAPSE * (tl.abs(re) + tl.abs(im))
        place = (C + channel * L + orientation)[:, None] * P * Q + at[None, :]
        known = (orientation < L)[:, None] & is_inside[None, :]
        tl.store(target + place, value.to(out.dtype.element_ty), mask=known)


def filtered(x: Tensor, taps: Tensor, collapse: float | None, epsilon: float) -> Tensor:
    """Low-pass and modulus [B, C (1 + L), M // 2, N // 2] of [B, C, M, N], in its type.

    `taps` [1 + 2L, K, K] are convolved with stride 2 behind a padding of (K - 1) // 2; see `filtering.shared_filters`.
    """
    B, C, M, N = x.shape
    L, K = len(taps) // 2, taps.shape[-1]
    out = x.new_empty(B, C * (1 + L), M // 2, N // 2)
    grid = (B * C, triton.cdiv((M // 2) * (N // 2), BLOCK))
    filter_and_modulus[grid](
        x.contiguous(),
        taps.to(torch.float32).contiguous(),
        out,
        *(C, M, N),
        L=L,
        L_PADDED=triton.next_power_of_2(max(L, 1)),
        K=K,
        COLLAPSE=collapse,
        EPSILON=epsilon,
        BLOCK=BLOCK,
    )
    return out
