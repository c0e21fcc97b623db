"""Counting what a run computes and holds, by letting its own modules run on tensors that have shapes and no memory.

Inside `shapes_only()` a network of a billion weights is made, and trained for a step, in a fraction of a second. Each
branch of the code is the one that the real device takes.
"""

import contextlib
import math
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from trainables.data.catalog import DataInfo, image_files
from trainables.device import cpu_as_gpu

PROCESS_BYTES = 700 * 2**20
"""Resident memory of a process that has imported the project and trained a network of ten weights for one step on a
CPU, with torch 2.14.1 for CPUs on Linux: 540 MB of imports, 160 MB that the first step adds (torch's own imports, code
and kernels that are read when first used)."""

PATH_BYTES = 49 + 8 + 28
"""Of a file in a list of images, beside its characters: Python's string, two references, a small part of a label."""


@contextlib.contextmanager
def shapes_only(device: str) -> Iterator["Memory"]:
    """Tensors made inside have no memory; what they would take on "cpu" or "cuda" is counted.

    All of them say that they are on the CPU: torch wants a driver to compute gradients of those that say otherwise.
    """
    with nullcontext() if device == "cpu" else cpu_as_gpu(), FakeTensorMode(), Memory() as memory:
        yield memory


class Memory(TorchDispatchMode):
    """Bytes of all tensors that are alive, and their parts at the moment when they were most.

    `parts` says, at such a moment, which bytes are of a kind of their own; the rest are activations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.at_peak: dict[str, int] = {}
        self.parts: Callable[[], dict[str, int]] = dict
        self._known: set[int] = set()

    def restart(self, parts: Callable[[], dict[str, int]]) -> None:
        """Forget earlier moments."""
        self.parts, self.peak = parts, 0
        self._look()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count the memory that it asked for."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.live += size
            weakref.finalize(storage, self._remove, key, size)
            self._look()

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size

    def _look(self) -> None:
        if self.live > self.peak:
            self.peak = self.live
            named = self.parts()
            self.at_peak = named | {"activations": self.live - sum(named.values())}


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of convolutions and matrix products in `work`: two for each multiply-add."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward_flops}) as count:
        work()
    return count.get_total_flops()


def _backward_flops(grad: Any, x: Any, weight: Any, *args: Any, out_shape: Any, **_: Any) -> int:
    """Each gradient takes the operations of the forward pass; torch counts those of grouped weights `groups` times."""
    transposed, output_mask = args[4], args[7]
    positions = math.prod((x if transposed else grad)[2:])
    return 2 * grad[0] * positions * math.prod(weight) * sum(output_mask[:2])


def nbytes(tensors: Iterable[Tensor | None]) -> int:
    """Bytes of all tensors."""
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


class Buckets:
    """What DistributedDataParallel keeps of a network: memory for all gradients, which a step's gradients move into."""

    def __init__(self, net: nn.Module) -> None:
        self.tensors = []
        for p in net.parameters():
            if p.requires_grad:
                self.tensors.append(torch.empty_like(p))
                p.register_post_accumulate_grad_hook(self._moved(self.tensors[-1]))

    @staticmethod
    def _moved(bucket: Tensor) -> Callable[[Tensor], None]:
        def move(p: Tensor) -> None:
            p.grad = bucket

        return move


def parts_of(
    net: nn.Module, optimizers: list[torch.optim.Optimizer], buckets: Buckets | None = None
) -> Callable[[], dict[str, int]]:
    """What network, gradients and optimisers, after their first step, hold at the moment of the call."""
    parameters = list(net.parameters())
    fixed = {
        "parameters": nbytes([*parameters, *net.buffers()]),
        "optimizer": nbytes(t for o in optimizers for t in tree_leaves(list(o.state.values())) if torch.is_tensor(t)),
    }

    def parts() -> dict[str, int]:
        return fixed | {"gradients": nbytes(buckets.tensors if buckets else (p.grad for p in parameters))}

    return parts


def data_bytes(info: DataInfo) -> int:
    """Memory of the images, or of the list of their files, as `trainables.data.loading` keeps them in each process."""
    if info.in_memory:  # mapped; every page is read to check it
        return (info.n_train + info.n_test) * (3 * info.image_size**2 + 8)
    paths = [path for folder in (*info.train, *info.test) for path in image_files(folder, info.classes)[0]]
    return sum(map(len, paths)) + PATH_BYTES * len(paths)
