"""Work on a GPU that is captured once as a CUDA graph and replayed from then on.

Launching a kernel costs the processor some microseconds. A training step of a small network consists of hundreds of
kernels that take little longer than that, and a graph launches all of them at once. What is captured has to work in
place, on tensors that stay where they are, and must not wait for the device.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from functools import cache

import torch

from trainables.messages import first_line


class Replayable:
    """A function without arguments and results, which is called until it has been captured, and then replayed."""

    def __init__(self, work: Callable[[], None], device: torch.device, stream: torch.cuda.Stream | None = None) -> None:
        """`stream` is the one on which the work runs before it is captured; None: that of the device."""
        self._work, self._device, self._own_stream = work, device, stream
        self._graph: torch.cuda.CUDAGraph | None = None
        self.refusal = ""
        """Why it could not be captured and is called further on, in a line; "" where it has been, or nobody tried."""

    def __call__(self) -> None:
        """Do the work, or queue it on the device."""
        self._graph.replay() if self._graph else self._work()

    def capture(self) -> bool:
        """Record the kernels of the work without running them; replay them from now on. Returns whether that went well.

        On a CPU there is nothing to record. The work must have run before within `capture_stream`, so that kernels are
        chosen and the states of optimisers are there.
        """
        if self._device.type != "cuda":
            return False
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved(self._device)
        try:
            stream = self._own_stream or _stream(self._device)
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._work()
        except RuntimeError as error:  # an operation that cannot be captured, or too little memory
            self.refusal = first_line(error)
            return False
        self._graph = graph
        held = max(0, torch.cuda.memory_reserved(self._device) - before)
        _memory.hold(held)
        weakref.finalize(self, _memory.hold, -held)
        return True


@contextlib.contextmanager
def capture_stream(device: torch.device, own: torch.cuda.Stream | None = None) -> Iterator[None]:
    """Within this context a GPU works on the stream on which work is captured, after all that it was given before.

    Graphs that are to run at the same time need streams of their `own`: what libraries keep for a stream, such as the
    memory in which they add up parts of a product, is captured with the work.
    """
    if device.type != "cuda":
        yield
        return
    stream, outside = own or _stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(outside)
    with torch.cuda.stream(stream):
        yield
    outside.wait_stream(stream)


class _Memory:
    """The memory that graphs keep, which PyTorch counts as reserved and not as allocated."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def hold(self, nbytes: int) -> None:
        """Say that a graph keeps so many more bytes from now on, or fewer."""
        self.now += nbytes
        self.most = max(self.most, self.now)


_memory = _Memory()


def most_bytes_held() -> int:
    """The most bytes of the GPU's memory that the graphs of this process have kept at once."""
    return _memory.most


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
