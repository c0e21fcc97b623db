"""Convolutions of stride 2 on a GPU, in the form that its library is fastest at, which is found out by trying.

The channels of these networks (3, 15, 75, 375, ...) are odd, and the kernels that use tensor cores want multiples of 8
in half precision and of 4 in TF32. Channels of zeros that are added for the product, and left out of the result, change
no number but the order of sums. Whether that, another layout in memory, or a convolution of stride 1 over the parities
of pixels is worth its copies depends on card and shape: each form is timed forward and backward when a shape is first
met, and the fastest is used from then on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MULTIPLES = {torch.float32: 4, torch.bfloat16: 8, torch.float16: 8}
"""Channels that tensor cores take at a time."""

WARM_UP, TIMED = 2, 3
"""Calls of each form before it is timed, and while it is."""


@dataclass(frozen=True)
class Shape:
    """What the choice of a form depends on."""

    images: torch.Size
    filters: torch.Size
    dtype: torch.dtype
    padding: tuple[int, int]
    groups: int
    needs_gradients: tuple[bool, bool]
    """Whether images and filters need gradients."""


Form = Callable[[Tensor, Tensor, tuple[int, int], int], Tensor]
"""Convolves [B, C, H, W] by [O, C / groups, K, K] with stride 2, given padding and groups."""

_chosen: dict[Shape, Form] = {}


def convolved(u: Tensor, weight: Tensor, *, padding: tuple[int, int], groups: int) -> Tensor:
    """conv2d of stride 2 of [B, C, H, W] by [O, C / groups, K, K], both of one type, on a GPU."""
    needs = torch.is_grad_enabled() and u.requires_grad, torch.is_grad_enabled() and weight.requires_grad
    shape = Shape(u.shape, weight.shape, u.dtype, padding, groups, needs)
    form = _chosen.get(shape)
    if form is None:
        if torch.backends.cudnn.deterministic or torch.cuda.is_current_stream_capturing():
            form = as_it_is  # the same in each run, and without waiting for times
        else:
            form = _chosen[shape] = fastest(u, weight, shape)
    return form(u, weight, padding, groups)


def as_it_is(u: Tensor, weight: Tensor, padding: tuple[int, int], groups: int) -> Tensor:
    """The library's convolution of what is there."""
    return F.conv2d(u, weight, stride=2, padding=padding, groups=groups)


def channels_last(u: Tensor, weight: Tensor, padding: tuple[int, int], groups: int) -> Tensor:
    """With the channels of a pixel side by side in memory."""
    images, filters = (part.contiguous(memory_format=torch.channels_last) for part in (u, weight))
    return F.conv2d(images, filters, stride=2, padding=padding, groups=groups)


def padded(u: Tensor, weight: Tensor, padding: tuple[int, int], groups: int) -> Tensor:
    """With channels of zeros in each group, so that their numbers are multiples of what tensor cores take at a time."""
    return _padded(u, weight, padding=padding, groups=groups, stride=2)


def by_parities(u: Tensor, weight: Tensor, padding: tuple[int, int], groups: int) -> Tensor:
    """As a convolution of stride 1 over the pixels of even and odd rows and columns, which are four times the channels.

    With m = 2 a + r, y[i] = sum_m w[m] x[2i + m] is sum_r sum_a w_r[a] x_r[i + a] over the parities r of each axis.
    """
    K = weight.shape[-2:]
    halves = [(side + 1) // 2 for side in K]
    positions = [(n + 2 * p - side) // 2 + 1 for n, p, side in zip(u.shape[-2:], padding, K, strict=True)]
    behind = [
        2 * (count + half - 1) - n - p
        for count, half, n, p in zip(positions, halves, u.shape[-2:], padding, strict=True)
    ]
    images = F.pixel_unshuffle(F.pad(u, (padding[1], behind[1], padding[0], behind[0])), 2)
    filters = F.pixel_unshuffle(F.pad(weight, (0, 2 * halves[1] - K[1], 0, 2 * halves[0] - K[0])), 2)
    return _padded(images, filters, padding=(0, 0), groups=groups, stride=1)


FORMS: tuple[Form, ...] = (as_it_is, channels_last, padded, by_parities)


def _padded(u: Tensor, weight: Tensor, *, padding: tuple[int, int], groups: int, stride: int) -> Tensor:
    multiple = MULTIPLES[u.dtype]
    c, o = weight.shape[1], len(weight) // groups
    more_c, more_o = -c % multiple, -o % multiple
    images = F.pad(u.unflatten(1, (groups, c)), (0, 0, 0, 0, 0, more_c)).flatten(1, 2)
    filters = F.pad(weight.unflatten(0, (groups, o)), (0, 0, 0, 0, 0, more_c, 0, more_o)).flatten(0, 1)
    images, filters = (part.contiguous(memory_format=torch.channels_last) for part in (images, filters))
    y = F.conv2d(images, filters, stride=stride, padding=padding, groups=groups)
    return y.unflatten(1, (groups, o + more_o))[:, :, :o].flatten(1, 2)


def fastest(u: Tensor, weight: Tensor, shape: Shape) -> Form:
    """The form that takes the least time for such tensors; `as_it_is` where memory is too short for another one."""
    seconds: dict[Form, float] = {}
    for form in FORMS:
        try:
            seconds[form] = _milliseconds(form, u, weight, shape)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    return min(seconds, key=lambda form: seconds[form], default=as_it_is)


def _milliseconds(form: Form, u: Tensor, weight: Tensor, shape: Shape) -> float:
    """Of a call forward, and backward for what needs gradients."""
    pairs = zip((u, weight), shape.needs_gradients, strict=True)
    tensors = [part.detach().requires_grad_(needs) for part, needs in pairs]
    learning = [part for part in tensors if part.requires_grad]

    def call() -> None:
        with torch.set_grad_enabled(bool(learning)):
            y = form(*tensors, shape.padding, shape.groups)
        if learning:
            torch.autograd.grad(y, learning, torch.ones_like(y))

    for _ in range(WARM_UP):
        call()
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    for _ in range(TIMED):
        call()
    ended.record()
    ended.synchronize()
    return began.elapsed_time(ended) / TIMED
