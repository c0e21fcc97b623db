"""Convolutions of stride 2 on a GPU, in the form that its library is fastest at, which is found out by trying.

The channels of these networks (3, 15, 75, 375, ...) are odd, and the kernels that use tensor cores want multiples of 8
in half precision and of 4 in TF32. Channels of zeros that are added for the product, and left out of the result, change
no number but the order of sums. Whether that, or another layout in memory, is worth its copies depends on card and
shape: each form is timed forward and backward when a shape is first met, and the fastest is used from then on.
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
    multiple = MULTIPLES[u.dtype]
    c, o = weight.shape[1], len(weight) // groups
    more_c, more_o = -c % multiple, -o % multiple
    images = F.pad(u.unflatten(1, (groups, c)), (0, 0, 0, 0, 0, more_c)).flatten(1, 2)
    filters = F.pad(weight.unflatten(0, (groups, o)), (0, 0, 0, 0, 0, more_c, 0, more_o)).flatten(0, 1)
    y = channels_last(images, filters, padding, groups)
    return y.unflatten(1, (groups, o + more_o))[:, :, :o].flatten(1, 2)


FORMS: tuple[Form, ...] = (as_it_is, channels_last, padded)


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
