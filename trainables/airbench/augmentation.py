"""Augments the images of a whole epoch at once, in uint8 on the device that holds them.

Random draws depend on seed and epoch alone and are made on the CPU, so they are the same on every device.
"""

from typing import Literal

import torch
from torch import Tensor

from trainables.data.draws import hashed_generator
from trainables.device import on_cpu


def epoch_flips(n: int, mode: Literal["none", "random", "alternating"], *, seed: int, epoch: int) -> Tensor:
    """Which of `n` images are mirrored in an epoch counted from 0, bool [n].

    "alternating" mirrors each image at random in epoch 0, and the other images in every second epoch.
    """
    if mode == "none":
        return torch.zeros(n, dtype=torch.bool)
    drawn_in = epoch if mode == "random" else 0
    flips = torch.rand(n, generator=hashed_generator(seed, drawn_in, "flip")) < 0.5
    return flips if mode == "random" or epoch % 2 == 0 else ~flips


def epoch_shifts(n: int, most: int, *, seed: int, epoch: int) -> Tensor:
    """Rows and columns by which the images of an epoch are shifted, -most .. most, int64 [n, 2]."""
    return torch.randint(-most, most + 1, (n, 2), generator=hashed_generator(seed, epoch, "shift"))


def augmented(pixels: Tensor, flips: Tensor, shifts: Tensor) -> Tensor:
    """Mirror uint8 [N, 3, H, W], then shift: output pixel (i, j) is (i + row, j + column), reflected at the borders."""
    return _by_choice(pixels, flips, shifts) if on_cpu(pixels) else _gathered(pixels, flips, shifts)


def _gathered(pixels: Tensor, flips: Tensor, shifts: Tensor) -> Tensor:
    """All images in one operation, which reads each pixel where it comes from; a GPU does so at its memory's speed."""
    N, _, H, W = pixels.shape
    flips, shifts = (draws.to(pixels.device, non_blocking=True) for draws in (flips, shifts))
    lines, columns = _reflected(H, shifts[:, :1]), _reflected(W, shifts[:, 1:])
    columns = torch.where(flips[:, None], W - 1 - columns, columns)
    image = torch.arange(N, device=pixels.device)
    found = pixels.permute(0, 2, 3, 1)[image[:, None, None], lines[:, :, None], columns[:, None, :]]
    return found.permute(0, 3, 1, 2)


def _by_choice(pixels: Tensor, flips: Tensor, shifts: Tensor) -> Tensor:
    """Images with the same flip and shift together, in at most 2 (2 most + 1)^2 indexing operations, which is faster in
    the caches of a CPU."""
    H, W = pixels.shape[2:]
    out = torch.empty_like(pixels)
    choices, which = torch.cat([shifts, flips[:, None].long()], 1).unique(dim=0, return_inverse=True)
    members = which.argsort(stable=True).split(which.bincount().tolist())
    for (row, column, flip), rows in zip(choices.tolist(), members, strict=True):
        lines, columns = (_reflected(size, torch.tensor(by)) for size, by in ((H, row), (W, column)))
        if flip:
            columns = W - 1 - columns
        images = pixels.index_select(0, rows).index_select(2, lines)
        out.index_copy_(0, rows, images.index_select(3, columns))
    return out


def _reflected(size: int, shift: Tensor) -> Tensor:
    """Positions of the `size` pixels of lines that are shifted by `shift` ([..., 1] or []), int64 [..., size].

    Beyond the border they go back, without it.
    """
    position = (torch.arange(size, device=shift.device) + shift).abs()
    return torch.where(position >= size, 2 * (size - 1) - position, position)
