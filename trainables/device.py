"""On what kind of device a tensor lies, for code that takes another way there.

A cost is worked out for a GPU on machines without one, on tensors that merely say so (`trainables.costing`).
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

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
