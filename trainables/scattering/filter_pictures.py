"""filters.npz, which a finished run leaves in its folder: its filters before and after training, for pictures.

With C input channels, L orientations and horizon c, a block has psi [C L, c, K, K], complex, and phi [C, c, K, K]. Of
block B (from 1 on) the file holds, for both names,

    blockB_NAME_n           how many filters there are
    blockB_NAME_moved       how far each filter moved, over its norm before, float32 [n] (see `MOST_MOVEMENTS`)
    blockB_NAME_shown       which filters are shown, [m]: all of block 1; of deeper ones the most moved, then the least
    blockB_NAME_moved_shown how far these moved, [m]
    blockB_NAME_before      their taps, [m, c, K, K] in block 1; in deeper ones on their own input channel, [m, K, K]
    blockB_NAME_after
    blockB_L                the orientations, 0 where the block is low-pass only

and `moved` and `norm`, the L2 distance of each block's parameters from before and their norm then, float64 [blocks].
The filters are those of the epoch that is reported: the best one of the last phase.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.files import write_atomically
from trainables.scattering.blocks import ScatteringBlock, own_channel
from trainables.scattering.network import ScatteringNet, initial_blocks

FILTERS = "filters.npz"
SHOWN = 4
"""Of deeper blocks so many of the most moved filters are shown, and as many of the least moved."""
MOST_MOVEMENTS = 8192
"""Of more filters, as many movements are kept, by rank and evenly spaced."""
MOST_TAPS = 2**14
"""Filters with more taps in all are not shown; those of block 1, then, as those of deeper blocks."""
PIECE = 2**22
"""Numbers that are taken into double precision at once."""


@torch.no_grad()
def save_filters(folder: Path, net: ScatteringNet) -> None:
    """Write the filters of a network beside those that its configuration begins with."""
    arrays: dict[str, Any] = {}
    moved, norm = [], []
    for i, (block, before) in enumerate(zip(net.blocks, initial_blocks(net.config), strict=True), start=1):
        assert isinstance(block, ScatteringBlock)
        assert isinstance(before, ScatteringBlock)
        pairs = [*zip(block.parameters(), before.parameters(), strict=True)]
        moved.append(sum(_squares(p, p0).sum().item() for p, p0 in pairs) ** 0.5)
        norm.append(sum(_squares(p0).sum().item() for _, p0 in pairs) ** 0.5)
        arrays[f"block{i}_L"] = 0 if block.shape.lowpass_only else block.L
        for name in ("psi", "phi"):
            found = _filters(name, block, before, whole=i == 1)
            arrays |= {f"block{i}_{name}_{part}": values for part, values in found}
    arrays |= {"moved": np.array(moved), "norm": np.array(norm)}
    write_atomically(folder / FILTERS, lambda stream: np.savez_compressed(stream, **arrays))


def _filters(name: str, block: ScatteringBlock, before: ScatteringBlock, *, whole: bool) -> Iterator[tuple[str, Any]]:
    """The arrays of the filters of one name; none where the block has no such filters."""
    pairs = [*zip(_parts(name, block), _parts(name, before), strict=True)]
    if not pairs:
        return
    squares = torch.stack([_squares(p, p0) for p, p0 in pairs]).sum(0)
    norms = torch.stack([_squares(p0) for _, p0 in pairs]).sum(0)
    moved = (squares / norms).sqrt_()
    yield "n", len(moved)
    yield "moved", _thinned(moved).float().numpy()
    taps = pairs[0][1]
    order = torch.argsort(moved, descending=True, stable=True)
    whole = whole and taps.numel() <= MOST_TAPS
    shown = torch.arange(len(order)) if whole else torch.cat([order[:SHOWN], order[SHOWN:][-SHOWN:]])
    if not whole and len(shown) * taps[0, 0].numel() > MOST_TAPS:
        shown = shown[:0]
    yield "shown", shown.numpy()
    yield "moved_shown", moved[shown].float().numpy()
    for when, side in (("after", 0), ("before", 1)):
        values = [pair[side] if whole else _own_taps(pair[side], block) for pair in pairs]
        parts = [value[shown.to(value.device)].cpu().numpy() for value in values]
        yield when, parts[0] + 1j * parts[1] if len(parts) == 2 else parts[0]


def _parts(name: str, block: ScatteringBlock) -> list[Tensor]:
    """phi, or the real and the imaginary parts of psi."""
    parts = (block.phi,) if name == "phi" else (block.psi_real, block.psi_imag)
    return [part.detach() for part in parts if part is not None]


def _squares(weight: Tensor, before: Tensor | None = None) -> Tensor:
    """The squared distance of each filter of a weight [n, ...] from before, or from zero, float64 [n] on the CPU.

    It is worked out piece by piece: the weights of a block may be half a gigabyte.
    """
    rows = max(1, PIECE * len(weight) // weight.numel())
    origin = torch.zeros_like(weight[:1]).expand_as(weight) if before is None else before
    pieces = zip(weight.split(rows), origin.split(rows), strict=True)
    return torch.cat([(p.cpu() - p0.cpu()).double().square_().flatten(1).sum(1) for p, p0 in pieces])


def _own_taps(weight: Tensor, block: ScatteringBlock) -> Tensor:
    """The taps of each filter on its own input channel, [n, K, K], of weights [n, c, K, K]."""
    return own_channel(weight, block.shape).flatten(0, 2)


def _thinned(moved: Tensor) -> Tensor:
    """Movements by filter; of very many, evenly spaced ones by rank, the largest first."""
    if len(moved) <= MOST_MOVEMENTS:
        return moved
    ranks = torch.linspace(0, len(moved) - 1, MOST_MOVEMENTS).round().long()
    return moved.sort(descending=True).values[ranks]
