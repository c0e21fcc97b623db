"""The Triton kernels of what stands between convolutions: pooling, norm and GELU. Importing this module imports Triton.

Maps lie in memory as [B, H, W, C]. A program works on a tile of positions and channels, in float32 whatever the maps'
type. Sums over positions are first written by each program and then added up in a fixed order, without atomics, so that
runs have the same bits. The place of a window's maximum takes 2 bits (of 3x3 windows 4), those of four images (two) a
byte. Of a map that is no multiple of the window, pooling drops what is left over, whose gradient is zero.
"""

import triton
import triton.language as tl

SQRT_HALF: tl.constexpr = tl.constexpr(0.7071067811865476)
SQRT_HALF_OVER_PI: tl.constexpr = tl.constexpr(0.3989422804014327)


@triton.jit
def pool_and_moments(
    x,
    pooled,
    places,
    counts,
    moments,
    B,
    H: tl.constexpr,
    W: tl.constexpr,
    C: tl.constexpr,
    K: tl.constexpr,
    IMAGES: tl.constexpr,
    MOMENTS: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Pool K x K windows of `x`, and take mean and sum of squared deviations of what a program has pooled.

    `pooled` is [B, H // K, W // K, C] in the type of `x`; `places` [ceil(B / IMAGES), H // K, W // K, C] holds a byte
    for IMAGES images; for K = 1 neither is written. `counts` [programs] is the number of positions and `moments`
    [programs, 2, C] what was found of them.
    """
    P: tl.constexpr = H // K
    Q: tl.constexpr = W // K
    channel = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    rows = tl.cdiv(B, IMAGES) * P * Q
    n = tl.zeros([ROWS, 1], dtype=tl.float32)
    mean = tl.zeros([ROWS, CHANNELS], dtype=tl.float32)
    squares = tl.zeros([ROWS, CHANNELS], dtype=tl.float32)
    for first in range(tl.program_id(0) * ROWS, rows, tl.num_programs(0) * ROWS):
        row = (first + tl.arange(0, ROWS))[:, None]
        i, j = row // Q % P, row % Q
        byte = tl.zeros([ROWS, CHANNELS], dtype=tl.int32)
        for k in tl.static_range(IMAGES):
            image = row // (P * Q) * IMAGES + k
            known = (image < B) & (channel < C)
            best, place = _largest(x, image, K * i, K * j, channel, known, H, W, C, K)
            byte |= place << (k * (8 // IMAGES))
            if K > 1:
                at = ((image.to(tl.int64) * P + i) * Q + j) * C + channel
                tl.store(pooled + at, best.to(pooled.dtype.element_ty), mask=known)
            if MOMENTS:
                n, mean, squares = _with_value(best, n, mean, squares, image < B, known)
        if K > 1:
            at = row.to(tl.int64) * C + channel
            tl.store(places + at, byte.to(tl.uint8), mask=(row < rows) & (channel < C))
    if MOMENTS:
        _store_moments(counts, moments, n, mean, squares, channel, C)


@triton.jit
def _largest(x, image, row, column, channel, known, H, W, C, K: tl.constexpr):
    """The maximum of each window and its place, the first of several in the order of rows; NaN is larger than all."""
    corner = x + ((image.to(tl.int64) * H + row) * W + column) * C + channel
    best = tl.load(corner, mask=known, other=0.0).to(tl.float32)
    place = tl.zeros(best.shape, dtype=tl.int32)
    for tap in tl.static_range(1, K * K):
        value = tl.load(corner + (tap // K * W + tap % K) * C, mask=known, other=0.0).to(tl.float32)
        is_larger = (value > best) | (value != value)
        best = tl.where(is_larger, value, best)
        place = tl.where(is_larger, tap, place)
    return best, place


@triton.jit
def _with_value(value, n, mean, squares, is_row, known):
    """The moments of each place of the tile, with one more value where it is known (Welford's recurrence)."""
    n += is_row.to(tl.float32)
    deviation = tl.where(known, value - mean, 0.0)
    mean += deviation * (1.0 / tl.maximum(n, 1.0))
    return n, mean, squares + deviation * (value - mean)


@triton.jit
def _store_moments(counts, moments, n, mean, squares, channel, C):
    """Merge the moments of a tile's rows, [ROWS, 1] and [ROWS, CHANNELS], and store them as those of this program."""
    count = tl.sum(n)
    merged = (tl.sum(n * mean, 0) / count)[None, :]
    squares = tl.sum(squares + n * (mean - merged) * (mean - merged), 0)[None, :]
    program = tl.program_id(0)
    tl.store(counts + program, count)
    tl.store(moments + 2 * program * C + channel, merged, mask=channel < C)
    tl.store(moments + (2 * program + 1) * C + channel, squares, mask=channel < C)


@triton.jit
def merge_moments(
    counts,
    moments,
    statistics,
    running_mean,
    running_var,
    programs,
    positions,
    momentum,
    eps,
    C: tl.constexpr,
    PROGRAMS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Merge what programs have found to `statistics` [2, C], mean and 1 / deviation, and update those that run on.

    The deviation is that of the batch, and the running variance takes in the unbiased one, as in the library.
    """
    channel = (tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    total = tl.zeros([PROGRAMS, CHANNELS], dtype=tl.float32)
    for first in range(0, programs, PROGRAMS):
        program = (first + tl.arange(0, PROGRAMS))[:, None]
        known = (program < programs) & (channel < C)
        n = tl.load(counts + program, mask=program < programs, other=0.0)
        total += n * tl.load(moments + 2 * program * C + channel, mask=known, other=0.0)
    mean = (tl.sum(total, 0) / positions)[None, :]
    squares = tl.zeros([PROGRAMS, CHANNELS], dtype=tl.float32)
    for first in range(0, programs, PROGRAMS):
        program = (first + tl.arange(0, PROGRAMS))[:, None]
        known = (program < programs) & (channel < C)
        n = tl.load(counts + program, mask=program < programs, other=0.0)
        apart = tl.load(moments + 2 * program * C + channel, mask=known, other=0.0) - mean
        squares += tl.load(moments + (2 * program + 1) * C + channel, mask=known, other=0.0) + n * apart * apart
    sum_of_squares = tl.sum(squares, 0)[None, :]
    is_channel = channel < C
    tl.store(statistics + channel, mean, mask=is_channel)
    tl.store(statistics + C + channel, tl.rsqrt(sum_of_squares / positions + eps), mask=is_channel)
    for_mean = tl.load(running_mean + channel, mask=is_channel)
    for_var = tl.load(running_var + channel, mask=is_channel)
    unbiased = sum_of_squares / (positions - 1)
    tl.store(running_mean + channel, (1 - momentum) * for_mean + momentum * mean, mask=is_channel)
    tl.store(running_var + channel, (1 - momentum) * for_var + momentum * unbiased, mask=is_channel)


@triton.jit
def normalise_and_gelu(x, y, statistics, bias, rows, C: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr):
    """y = GELU((x - mean) / deviation + bias), [rows, C]."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    channel = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    known = (row < rows) & (channel < C)
    at = row.to(tl.int64) * C + channel
    mean, scale, shift = _of_channels(statistics, bias, channel, C)
    z = (tl.load(x + at, mask=known, other=0.0).to(tl.float32) - mean) * scale + shift
    tl.store(y + at, (0.5 * z * (1 + tl.erf(z * SQRT_HALF))).to(y.dtype.element_ty), mask=known)


@triton.jit
def sums_of_gradient(
    grad, x, statistics, bias, sums, rows, C: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr
):
    """Add up the gradient of z and its product with the normalised x, over some rows of [rows, C].

    z = (x - mean) / deviation + bias, `grad` is the gradient of GELU(z), `sums` is [programs, 2, C].
    """
    channel = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    mean, scale, shift = _of_channels(statistics, bias, channel, C)
    alone = tl.zeros([ROWS, CHANNELS], dtype=tl.float32)
    with_x = tl.zeros([ROWS, CHANNELS], dtype=tl.float32)
    for first in range(tl.program_id(0) * ROWS, rows, tl.num_programs(0) * ROWS):
        row = (first + tl.arange(0, ROWS))[:, None]
        known = (row < rows) & (channel < C)
        at = row.to(tl.int64) * C + channel
        of_y = tl.load(grad + at, mask=known, other=0.0).to(tl.float32)
        normalised = (tl.load(x + at, mask=known, other=0.0).to(tl.float32) - mean) * scale
        of_z = of_y * _gelu_slope(normalised + shift)
        alone += of_z
        with_x += of_z * normalised
    program = tl.program_id(0)
    tl.store(sums + 2 * program * C + channel, tl.sum(alone, 0)[None, :], mask=channel < C)
    tl.store(sums + (2 * program + 1) * C + channel, tl.sum(with_x, 0)[None, :], mask=channel < C)


@triton.jit
def gradient_of_input(
    grad,
    pooled,
    places,
    statistics,
    bias,
    sums,
    share,
    out,
    B,
    H: tl.constexpr,
    W: tl.constexpr,
    C: tl.constexpr,
    K: tl.constexpr,
    IMAGES: tl.constexpr,
    NORM: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """The gradient of what was pooled, all of it in one write: at a window's maximum that of the pooled value, else 0.

    With NORM, `grad` [B, H // K, W // K, C] is the gradient of GELU(z), z = (pooled - mean) / deviation + bias, and
    `share` a position's part of the `sums` [2, C], 0 for constant mean and deviation. Without, it is that of `pooled`.
    """
    P: tl.constexpr = H // K
    Q: tl.constexpr = W // K
    DOWN: tl.constexpr = (H + K - 1) // K
    ACROSS: tl.constexpr = (W + K - 1) // K
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    channel = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    group, i, j = row // (DOWN * ACROSS), row // ACROSS % DOWN, row % ACROSS
    is_window = (i < P) & (j < Q) & (channel < C)
    byte = tl.zeros([ROWS, CHANNELS], dtype=tl.int32)
    if K > 1:
        at = ((group.to(tl.int64) * P + i) * Q + j) * C + channel
        byte += tl.load(places + at, mask=is_window & (group * IMAGES < B), other=0)
    if NORM:
        mean, scale, shift = _of_channels(statistics, bias, channel, C)
        alone, with_x = _pair(sums, channel, C)
    for k in tl.static_range(IMAGES):
        image = group * IMAGES + k
        known = is_window & (image < B)
        at = ((image.to(tl.int64) * P + i) * Q + j) * C + channel
        value = tl.load(grad + at, mask=known, other=0.0).to(tl.float32)
        if NORM:
            normalised = (tl.load(pooled + at, mask=known, other=0.0).to(tl.float32) - mean) * scale
            value = scale * (value * _gelu_slope(normalised + shift) - share * (alone + normalised * with_x))
        place = tl.where(known, (byte >> (k * (8 // IMAGES))) & ((1 << (8 // IMAGES)) - 1), -1)
        _store_window(out, value, place, image, K * i, K * j, channel, (image < B) & (channel < C), H, W, C, K)


@triton.jit
def _store_window(out, value, place, image, row, column, channel, known, H, W, C, K: tl.constexpr):
    """Write a value at its place of each window, and zeros at the others that the map has."""
    corner = out + ((image.to(tl.int64) * H + row) * W + column) * C + channel
    for tap in tl.static_range(K * K):
        exists = known & (row + tap // K < H) & (column + tap % K < W)
        of_tap = tl.where(place == tap, value, 0.0).to(out.dtype.element_ty)
        tl.store(corner + (tap // K * W + tap % K) * C, of_tap, mask=exists)


@triton.jit
def _of_channels(statistics, bias, channel, C):
    """Mean, 1 / deviation and bias of the channels of a tile."""
    mean, scale = _pair(statistics, channel, C)
    return mean, scale, tl.load(bias + channel, mask=channel < C, other=0.0).to(tl.float32)


@triton.jit
def _pair(of_channels, channel, C):
    """Both rows of [2, C] for the channels of a tile."""
    first = tl.load(of_channels + channel, mask=channel < C, other=0.0)
    return first, tl.load(of_channels + C + channel, mask=channel < C, other=0.0)


@triton.jit
def _gelu_slope(z):
    """The derivative of z Phi(z), where Phi is the normal distribution."""
    return 0.5 * (1 + tl.erf(z * SQRT_HALF)) + z * SQRT_HALF_OVER_PI * tl.exp(-0.5 * z * z)
