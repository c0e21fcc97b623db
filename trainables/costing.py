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

from trainables.data.info import DataInfo, image_files
from trainables.device import cpu_as_gpu

PROCESS_BYTES = 715 * 2**20
"""Resident memory of a process that has trained a network of ten weights on ten images on a CPU: 542 MB of imports,
150 MB that torch imports for its first optimiser, 20 MB of its code read in the first steps. torch 2.14.1 for CPUs,
Linux, the same with one thread and two; a third is private, the rest pages of torch's library."""

EXIT_BYTES = 125 * 2**20
"""What the process grows by when it ends, as seen by whoever waits for it: `import torch`, and torch._dynamo, which its
optimisers import, and nothing else end 125 MB above what they held (none after os._exit)."""

COPIES_FORWARD, COPIES_BACKWARD = 2, 3
"""Of the weights, while oneDNN convolves on a CPU: channels last, and in blocks as its kernels want them; backward the
gradient in blocks as well. Within 10 % for dense and grouped weights of 0.4 to 47 MB, float32 and bfloat16, one thread
and two, as the growth of the resident memory in a single call (oneDNN of torch 2.14.1)."""

OWN_MAPPING = 2**25
"""Blocks from this size on go back to the system when they are freed (`trainables.memory`)."""
KEPT_AT_MOST = 2**30
"""Freed memory of smaller blocks that the process keeps for the next ones."""

PATH_BYTES = 49 + 8 + 28
"""Of a file in a list of images, beside its characters: Python's string, two references, a small part of a label."""
USUAL_PATH = 60
"""Characters of the path of a file that is not here."""


@contextlib.contextmanager
def shapes_only(device: str) -> Iterator["Memory"]:
    """Tensors made inside have no memory; what they would take on "cpu" or "cuda" is counted.

    All of them say that they are on the CPU: torch wants a driver to compute gradients of those that say otherwise.
    """
    on_cpu = device == "cpu"
    with nullcontext() if on_cpu else cpu_as_gpu(), FakeTensorMode(), Memory(on_cpu=on_cpu) as memory:
        yield memory


class Memory(TorchDispatchMode):
    """The most bytes that tensors have taken, and their parts at that moment.

    On a CPU also what the library copies meanwhile (`library`), what the allocator has kept of blocks that were freed
    (`kept`), and a file that is read (`checkpoint`). `name_parts` says which bytes are of a kind of their own at the
    moment of the call; the rest are `activations`.
    """

    def __init__(self, *, on_cpu: bool) -> None:
        super().__init__()
        self.on_cpu = on_cpu
        self.peak = self.small = self.large = self.most_small = 0
        self.at_peak: dict[str, int] = {}
        self.name_parts: Callable[[], dict[str, int]] = dict
        self._known: set[int] = set()

    def restart(self, name_parts: Callable[[], dict[str, int]], *, most_small: int = 0) -> None:
        """Forget earlier moments; `most_small` are the bytes that small blocks have taken before in this process."""
        self.name_parts, self.peak, self.most_small = name_parts, 0, max(self.small, most_small)
        self._look({})

    def reading(self, file_bytes: int) -> None:
        """Count a file that is mapped at this moment, on a CPU, where its pages are the process's own."""
        if self.on_cpu:
            self._look({"checkpoint": file_bytes})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count the memory that it asked for."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        if self.on_cpu and (copies := _copies_of_weights(func, args)):
            for block in copies:
                self._count(block)
            self._look({"library": sum(copies)})
            for block in copies:
                self._count(-block)
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            weakref.finalize(storage, self._remove, key, size)
            self._count(size)
            self._look({})

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._count(-size)

    def _count(self, size: int) -> None:
        if abs(size) >= OWN_MAPPING:
            self.large += size
        else:
            self.small += size
            kept = KEPT_AT_MOST if self.on_cpu else 0
            self.most_small = max(self.small, min(self.most_small, self.small + kept))

    def _look(self, named: dict[str, int]) -> None:
        held = self.large + self.most_small + named.get("checkpoint", 0)
        if held > self.peak:
            self.peak = held
            named = self.name_parts() | {"kept": self.most_small - self.small} | named
            self.at_peak = named | {"activations": held - sum(named.values())}


def _copies_of_weights(func: Any, args: Any) -> list[int]:
    """Sizes of the blocks that a convolution of the library takes for itself."""
    if func is torch.ops.aten.convolution.default:
        return [args[1].nbytes] * COPIES_FORWARD
    if func is torch.ops.aten.convolution_backward.default:
        return [args[2].nbytes] * (COPIES_BACKWARD if args[10][1] else COPIES_FORWARD)
    return []


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
    """What network, gradients and optimisers hold at the moment of the call."""
    learnt = list(net.parameters())
    parameters = nbytes([*learnt, *net.buffers()])

    def parts() -> dict[str, int]:
        state = (tensor for o in optimizers for of_one in o.state.values() for tensor in of_one.values())
        return {
            "parameters": parameters,
            "gradients": nbytes(buckets.tensors if buckets else (p.grad for p in learnt)),
            "optimizer": nbytes(tensor for tensor in state if torch.is_tensor(tensor)),
        }

    return parts


def at_exit(around: dict[str, int], most_small: int) -> dict[str, int]:
    """The parts of a process's memory while it ends: tensors are gone, and what was kept of small blocks is not."""
    return around | {"process": PROCESS_BYTES + EXIT_BYTES, "kept": min(most_small, KEPT_AT_MOST)}


def data_bytes(info: DataInfo) -> int:
    """Memory of the images, or of the list of their files, as `trainables.data.loading` keeps them in each process."""
    if info.in_memory:  # mapped; every page is read to check it
        return (info.n_train + info.n_test) * (3 * info.image_size**2 + 8)
    if info.layout == "published":
        return (info.n_train + info.n_test) * (PATH_BYTES + USUAL_PATH)
    paths = [path for folder in (*info.train, *info.test) for path in image_files(folder, info.classes)[0]]
    return sum(map(len, paths)) + PATH_BYTES * len(paths)
