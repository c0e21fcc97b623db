"""The arithmetic of a scattering block, in the form that is fastest on the device; no term of it is left out.

The definition filters at full resolution and then applies the 2x2 kernel p with stride 2. With w the filter, h = K // 2
and x zero outside the image,

    y[i] = sum_a p[a] sum_k w[k] x[2i + a + k - h]

which can be summed in two orders, both of which compute a quarter of the positions and no map at full resolution:

    pooled first   y[i] = sum_k w[k] u[2i + k - h],   u[j] = sum_a p[a] x[j + a]     K^2 multiplications for an output
    fused kernel   y[i] = sum_m (p * w)[m] x[2i + m - h]                             (K + 1)^2, but no gradient of u

docs/log.md has the measurements behind every choice made here.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.device import on_cpu
from trainables.scattering import own_kernels
from trainables.scattering.convolution import convolved

EPSILON = 1e-8
"""Added under the root of the modulus, as in the original."""

CHUNK_BYTES = 8 * 2**20
"""Shared filters work on as many channels at a time as have images of at most this size, which a CPU's caches hold."""

LARGE_WEIGHTS = 12 * 2**20
"""Number of weights in a group from which on a CPU's caches do not hold them."""


def own_filters(x: Tensor, weight: Tensor, pool: Tensor, groups: int) -> Tensor:
    """Filter [B, C, M, N] by weights [O, C / groups, K, K] and the 2x2 kernel: [B, O, M // 2, N // 2]."""
    if on_cpu(x) or (groups == 1 and _compute_dtype(x) != torch.float32):
        x = x.contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled() and weight.requires_grad and not x.requires_grad:  # x are images: u needs no gradient
        half = weight.shape[-1] // 2
        return _strided(x, _fused(weight, pool), (half, half), groups)
    C = x.shape[1]
    u = F.conv2d(x, pool.expand(C, 1, 2, 2), padding=1, groups=C)
    weight, padding = _used_taps(weight, u)
    if _backward_as_matrix_product(u, weight, groups):
        dtype = _compute_dtype(u)
        return _MatrixBackward.apply(u.to(dtype), weight.to(dtype), padding, groups)
    return _strided(u, weight, padding, groups)


def _strided(u: Tensor, weight: Tensor, padding: tuple[int, int], groups: int) -> Tensor:
    """A convolution of stride 2, on a GPU in the form that is fastest there."""
    if not u.is_cuda or torch.compiler.is_compiling():
        return F.conv2d(u, weight, stride=2, padding=padding, groups=groups)
    dtype = _compute_dtype(u)
    return convolved(u.to(dtype), weight.to(dtype), padding=padding, groups=groups)


def shared_filters(x: Tensor, bank: Tensor, pool: Tensor, collapse: float | None) -> Tensor:
    """Low-pass and modulus of [B, C, M, N] where all channels have the same filters: [B, C (1 + L), M // 2, N // 2].

    `bank` [1 + 2L, K, K] holds phi and the real and imaginary parts of psi, or phi alone. `collapse` is the one weight
    of all phases of phase ReLU, None for the complex modulus. There are no gradients.
    """
    x = x.to(_compute_dtype(x))
    taps = _fused(bank[:, None], pool)
    fused = taps.to(x.dtype)
    if on_cpu(x):
        return _shared_filters_on_cpu(x, fused, collapse)
    if (out := own_kernels.filtered(x, taps[:, 0], collapse, EPSILON)) is not None:
        return out
    B, C, M, N = x.shape
    L = len(bank) // 2
    y = F.conv2d(x.reshape(B * C, 1, M, N), fused, stride=2, padding=bank.shape[-1] // 2).unflatten(0, (B, C))
    out = y.new_empty(B, C * (1 + L), M // 2, N // 2)
    out[:, :C] = y[:, :, 0]
    if L:
        _modulus(y[:, :, 1 : 1 + L], y[:, :, 1 + L :], collapse, out=out[:, C:].unflatten(1, (C, L)))
    return out


def chunks(C: int, channel_bytes: int) -> list[slice]:
    """Parts of C channels, whose images have `channel_bytes` each, that shared filters work on at a time."""
    step = max(1, CHUNK_BYTES // channel_bytes)
    return [slice(start, min(start + step, C)) for start in range(0, C, step)]


def _shared_filters_on_cpu(x: Tensor, fused: Tensor, collapse: float | None) -> Tensor:
    """The same with the images of a batch innermost in memory, [C, M, N, B].

    A vector instruction then filters 16 of them at once, the library's depthwise convolution reaches its full speed,
    and a block's output is the next one's input as it is.
    """
    B, C, M, N = x.shape
    L = len(fused) // 2
    if x.is_contiguous():  # the same as a plain transposition, which is faster
        images = x.flatten(1).t().contiguous().view(C, M, N, B).permute(0, 3, 1, 2)
    else:
        images = x.transpose(0, 1).contiguous(memory_format=torch.channels_last)
    low, *oriented = fused[:, None].expand(-1, B, -1, -1, -1)
    out = x.new_empty(C * (1 + L), M // 2, N // 2, B).permute(0, 3, 1, 2)
    moduli = out[C:].unflatten(0, (C, L)).unbind(1) if L else ()
    for chunk in chunks(C, images[0].nbytes):
        part = images[chunk]

        def filtered(taps: Tensor, part: Tensor = part) -> Tensor:
            return F.conv2d(part, taps, stride=2, padding=(taps.shape[-1] - 1) // 2, groups=B)

        out[chunk] = filtered(low)
        for i, modulus in enumerate(moduli):
            re, im = filtered(oriented[i]), filtered(oriented[L + i])
            _modulus(re, im, collapse, out=modulus[chunk])
    return out.transpose(0, 1)


def lowpass_and_modulus(y: Tensor, weights: Tensor | None, groups: int, L: int) -> Tensor:
    """Join phi and the modulus of re and im of [B, C (1 + 2L), M, N], which holds phi, re and im of each group.

    The modulus is sqrt(re^2 + im^2 + epsilon), or that of phase ReLU by its `weights` [C L, 4]. Returns
    [B, C (1 + L), M, N]: the low-pass path of all channels, then the modulus of all channels and orientations.
    """
    if (out := own_kernels.collapsed(y, weights, groups, L, EPSILON)) is not None:
        return out
    if weights is not None:
        return _lowpass_and_phases(y, weights, groups, L)
    if y.dtype == torch.float16:  # its range has neither the squares of large values nor epsilon
        y = y.float()
    return _LowpassAndModulus.apply(y, groups, L)


def _lowpass_and_phases(y: Tensor, weights: Tensor, groups: int, L: int) -> Tensor:
    low, re, im = (part.flatten(1, 2) for part in split_groups(y, groups, L))
    phases = (re.relu(), im.relu(), (-re).relu(), (-im).relu())
    of_phases = weights[:, :, None, None].unbind(1)
    return torch.cat([low, sum(w * phase for w, phase in zip(of_phases, phases, strict=True))], dim=1)


def split_groups(y: Tensor, groups: int, L: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views of phi [B, g, c, M, N] and of re and im [B, g, c L, M, N] in [B, g (c + 2 c L), M, N]."""
    y = y.unflatten(1, (groups, -1))
    c = y.shape[2] // (1 + 2 * L)
    low, re, im = y.split([c, c * L, c * L], dim=2)
    return low, re, im


def _compute_dtype(x: Tensor) -> torch.dtype:
    """The type that autocast, where it is on, gives to a floating-point tensor."""
    device = x.device.type
    known = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if known else x.dtype


def _fused(weight: Tensor, pool: Tensor) -> Tensor:
    """Full convolution of each K x K filter [O, c, K, K] with the 2x2 kernel: [O, c, K + 1, K + 1]."""
    taps = F.conv2d(weight.flatten(0, 1)[:, None], pool.flip(0, 1)[None, None], padding=1)
    return taps.view(*weight.shape[:2], *taps.shape[-2:])


def _used_taps(weight: Tensor, u: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """The weights without the outer taps that only meet the padding of a small u, and the padding that is left."""
    K = weight.shape[-1]
    rows, cols = (max(0, K // 2 + 2 - size) for size in u.shape[-2:])
    return weight[..., rows : K - rows, cols : K - cols], (K // 2 - 1 - rows, K // 2 - 1 - cols)


def _modulus(re: Tensor, im: Tensor, collapse: float | None, *, out: Tensor) -> None:
    """Write the complex modulus, or `collapse` (|re| + |im|), into `out`. Overwrites re and im."""
    if collapse is not None:
        torch.add(re.abs_(), im.abs_(), out=out)
        out.mul_(collapse)
    elif out.dtype == torch.float16:  # see lowpass_and_modulus
        out.copy_(re.float().square_().addcmul_(im.float(), im.float()).add_(EPSILON).sqrt_())
    else:
        torch.addcmul(re.new_full((), EPSILON), re, re, out=out)  # a number from the CPU could not be captured
        out.addcmul_(im, im).sqrt_()


class _LowpassAndModulus(torch.autograd.Function):
    """Reads and writes the maps once forward and once backward, where autograd would copy them several times."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, groups: int, L: int) -> Tensor:
        low, re, im = split_groups(y, groups, L)
        C = low.shape[1] * low.shape[2]
        layout = torch.channels_last if y.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        out = torch.empty(y.shape[0], C * (1 + L), *y.shape[2:], dtype=y.dtype, device=y.device, memory_format=layout)
        out[:, :C].unflatten(1, low.shape[1:3]).copy_(low)
        modulus = out[:, C:].unflatten(1, re.shape[1:3])
        torch.addcmul(y.new_full((), EPSILON), re, re, out=modulus)
        modulus.addcmul_(im, im).sqrt_()
        ctx.save_for_backward(y, out)
        ctx.groups, ctx.L = groups, L
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        y, out = ctx.saved_tensors
        (grad,) = grads
        low, re, im = split_groups(y, ctx.groups, ctx.L)
        C = low.shape[1] * low.shape[2]
        grad_y = torch.empty_like(y)
        grad_low, grad_re, grad_im = split_groups(grad_y, ctx.groups, ctx.L)
        grad_low.copy_(grad[:, :C].unflatten(1, low.shape[1:3]))
        scale = (grad[:, C:] / out[:, C:]).unflatten(1, re.shape[1:3])
        torch.mul(re, scale, out=grad_re)
        torch.mul(im, scale, out=grad_im)
        return grad_y, None, None


def _backward_as_matrix_product(u: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether the library's backward convolutions are slower on CPU than a matrix product over unfolded patches."""
    if not on_cpu(u) or not torch.is_grad_enabled():
        return False
    half = _compute_dtype(u).itemsize == 2
    positions = ((u.shape[-2] - 1) // 2) * ((u.shape[-1] - 1) // 2)
    return weight.numel() // groups >= LARGE_WEIGHTS or (half and positions <= 16)


class _MatrixBackward(torch.autograd.Function):
    """A conv2d of stride 2 whose gradients are two matrix products for each group."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, weight: Tensor, padding: tuple[int, int], groups: int) -> Tensor:
        ctx.save_for_backward(u, weight)
        ctx.padding, ctx.groups = padding, groups
        return F.conv2d(u, weight, stride=2, padding=padding, groups=groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        u, weight = ctx.saved_tensors
        (top, left), g = ctx.padding, ctx.groups
        B = len(u)
        out_channels, c, height, width = weight.shape
        grad = grads[0].permute(0, 2, 3, 1)
        P, Q = grad.shape[1:3]
        rows = grad.reshape(B * P * Q, g, out_channels // g).transpose(0, 1)  # [g, B P Q, channels / g]
        grad_u = grad_weight = None
        if ctx.needs_input_grad[0]:
            taps = weight.view(g, out_channels // g, c, height, width).permute(0, 1, 3, 4, 2).flatten(2)
            patches = torch.bmm(rows, taps).view(g, B, P, Q, height, width, c)
            padded = u.new_zeros(B, u.shape[2] + 2 * top, u.shape[3] + 2 * left, g, c)
            for i in range(height):
                for j in range(width):
                    padded[:, i : i + 2 * P : 2, j : j + 2 * Q : 2] += patches[..., i, j, :].permute(1, 2, 3, 0, 4)
            inside = padded[:, top : top + u.shape[2], left : left + u.shape[3]]
            grad_u = inside.flatten(3).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            padded = F.pad(u.permute(0, 2, 3, 1), (0, 0, left, left, top, top))
            patches = padded.unfold(1, height, 2).unfold(2, width, 2)[:, :P, :Q].unflatten(3, (g, c))
            patches = patches.permute(3, 0, 1, 2, 5, 6, 4).reshape(g, B * P * Q, height * width * c)
            grad_weight = torch.bmm(rows.transpose(1, 2), patches).view(g, out_channels // g, height, width, c)
            grad_weight = grad_weight.permute(0, 1, 4, 2, 3).reshape(weight.shape)
        return grad_u, grad_weight, None, None
