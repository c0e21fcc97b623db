"""Counting what a run computes and holds, by letting its own modules run on tensors that have shapes and no memory.

Inside `shapes_only()` a network of a billion weights is made, and trained for a step, in a fraction of a second. The
code takes the same branches as on the real device.
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
"""Resident memory of a process that has trained a network of ten weights on ten images on a CPU.

It consists of 542 MB of imports, 150 MB that torch imports for its first optimiser, and 20 MB of torch's code that the
first steps read. A third of it is private, the rest are pages of torch's library. Measured with torch 2.14.1 for CPUs
on Linux; it is the same with one thread and two."""

EXIT_BYTES = 125 * 2**20
"""Bytes by which the process grows while it ends, as seen by whoever waits for it.

A process that imports torch and torch._dynamo (which torch's optimisers import) and nothing else ends 125 MB above what
it held before; one that ends by os._exit does not grow."""

COPIES_FORWARD, COPIES_BACKWARD = 2, 3
"""Copies of the weights that oneDNN makes while it convolves on a CPU, forward and backward.

One has channels last, one is in the blocks that the kernels want; backward, the gradient is held in blocks as well. The
growth of the resident memory in a single call agrees within 10 %, for dense and grouped weights of 0.4 to 47 MB, in
float32 and bfloat16, with one thread and two (oneDNN of torch 2.14.1)."""

OWN_MAPPING = 2**25
"""Blocks of at least this many bytes go back to the system when they are freed (see `trainables.memory`)."""
KEPT_AT_MOST = 2**30
"""The most bytes of smaller blocks that the process keeps, once they are freed, for the next ones."""

PATH_BYTES = 49 + 8 + 28
"""Bytes that a file takes in a list of images beside the characters of its path.

They hold the rest of Python's string, two references, and this file's part of the labels."""
USUAL_PATH = 60
"""Characters that are assumed for the path of a file that is not on this machine."""


@contextlib.contextmanager
def shapes_only(device: str) -> Iterator["Memory"]:
    """Within this context tensors have no memory, and the bytes that they would take on "cpu" or "cuda" are counted.

    All of them say that they are on the CPU, since torch computes gradients of others only where there is a driver.
    """
    on_cpu = device == "cpu"
    with nullcontext() if on_cpu else cpu_as_gpu(), FakeTensorMode(), Memory(on_cpu=on_cpu) as memory:
        yield memory


class Memory(TorchDispatchMode):
    """Counts the most bytes that tensors have taken at once (`peak`), and of which parts these consist (`at_peak`).

    On a CPU the bytes include what the library copies meanwhile (part `library`), what the allocator keeps of freed
    blocks (`kept`), and a file that is being read (`checkpoint`). `name_parts` returns further parts, with their bytes
    at the moment of the call, and what is left are `activations`.
    """

    def __init__(self, *, on_cpu: bool) -> None:
        super().__init__()
        self.on_cpu = on_cpu
        self.peak = 0
        self.small = self.large = 0
        """Bytes that are held in blocks below and from OWN_MAPPING."""
        self.most_small = 0
        """Bytes that the process holds for small blocks, those in use and those that the allocator has kept."""
        self.at_peak: dict[str, int] = {}
        self.name_parts: Callable[[], dict[str, int]] = dict
        self._known: set[int] = set()

    def restart(self, name_parts: Callable[[], dict[str, int]], *, most_small: int = 0) -> None:
        """Forget earlier moments. `most_small` are the bytes that the process holds for small blocks from before."""
        self.name_parts, self.peak, self.most_small = name_parts, 0, max(self.small, most_small)
        self._look({})

    def reading(self, file_bytes: int) -> None:
        """Count a file that is mapped at this moment, if on a CPU, where its pages belong to the process's memory."""
        if self.on_cpu:
            self._look({"checkpoint": file_bytes})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count the memory that it asks for."""
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
    """Bytes of each copy that the library makes of a convolution's weights; none for other operations."""
    if func is torch.ops.aten.convolution.default:
        return [args[1].nbytes] * COPIES_FORWARD
    if func is torch.ops.aten.convolution_backward.default:
        return [args[2].nbytes] * (COPIES_BACKWARD if args[10][1] else COPIES_FORWARD)
    return []


def count_flops(work: Callable[[], object]) -> int:
    """Count the floating-point operations of convolutions and matrix products in `work`, two for each multiply-add."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward_flops}) as count:
        work()
    return count.get_total_flops()


def _backward_flops(grad: Any, x: Any, weight: Any, *args: Any, out_shape: Any, **_: Any) -> int:
    """Operations of a convolution's backward pass, in which each gradient takes as many as the forward pass.

    torch's own formula counts those of grouped weights `groups` times.
    """
    transposed, output_mask = args[4], args[7]
    positions = math.prod((x if transposed else grad)[2:])
    return 2 * grad[0] * positions * math.prod(weight) * sum(output_mask[:2])


def nbytes(tensors: Iterable[Tensor | None]) -> int:
    """Bytes of all tensors."""
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


class Buckets:
    """The buckets that DistributedDataParallel keeps for all gradients of a network, into which a step's are moved."""

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
    """A function that returns the bytes that network, gradients and optimisers hold at the moment of its call."""
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
    """The parts of a process's memory while it ends, when tensors are gone but freed small blocks are still kept.

    `around` are the parts beside tensors, `most_small` the bytes that the process holds for small blocks.
    """
    return around | {"process": PROCESS_BYTES + EXIT_BYTES, "kept": min(most_small, KEPT_AT_MOST)}


def data_bytes(info: DataInfo) -> int:
    """Bytes of the images, or of the list of their files, as `trainables.data.loading` keeps them in each process."""
    if info.in_memory:  # mapped from a file, every page of which is read to check it
        return (info.n_train + info.n_test) * (3 * info.image_size**2 + 8)
    if info.layout == "published":
        return (info.n_train + info.n_test) * (PATH_BYTES + USUAL_PATH)
    paths = [path for folder in (*info.train, *info.test) for path in image_files(folder, info.classes).paths]
    return sum(map(len, paths)) + PATH_BYTES * len(paths)
