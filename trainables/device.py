"""What a process computes on: the name of its processor, and whether a tensor lies in that one's memory.

A cost is worked out for a GPU on machines without one, on tensors that merely say so (`trainables.costing`).
"""

import contextlib
import platform
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from torch import Tensor

_elsewhere: ContextVar[bool] = ContextVar("_elsewhere", default=False)


def on_cpu(x: Tensor) -> bool:
    """Whether the tensor lies in a CPU's memory, and is computed on through its caches."""
    return x.device.type == "cpu" and not _elsewhere.get()


@contextlib.contextmanager
def cpu_as_gpu() -> Iterator[None]:
    """Inside, tensors of the CPU go the way of a GPU."""
    token = _elsewhere.set(True)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def cpu_name() -> str:
    """The processor's model as Linux names it, which can be read without torch as well; elsewhere its architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
