"""Takes the time for which training has nothing to do, since its next images are not there yet."""

import time
from collections import deque
from collections.abc import Iterator
from typing import TypeVar

import torch

T = TypeVar("T")


class Awaited(Iterator[T]):
    """The batches of an iterator, and the seconds for which `device` waited for them.

    On a CPU that is all of the time that it takes to get the next batch: to read what has not been decoded ahead, or to
    gather, crop and normalise images in memory. A GPU may still have steps to do meanwhile, and these seconds are not
    lost. There the time counts from the end of the steps before, or from the request for the batch if that is later, to
    the moment at which the batch lies in the GPU's memory, normalised. Two events of the GPU's stream tell it, so that
    nothing waits for them.
    """

    def __init__(self, batches: Iterator[T], device: torch.device) -> None:
        self._batches = batches
        self._mark: type[_HostMark | _DeviceMark] = _DeviceMark if device.type == "cuda" else _HostMark
        self._waits: deque[tuple[_HostMark | _DeviceMark, _HostMark | _DeviceMark]] = deque()
        self._seconds = 0.0

    def __next__(self) -> T:
        begun = self._mark()
        batch = next(self._batches)
        self._waits.append((begun, self._mark()))
        self._add_up()
        return batch

    def seconds(self) -> float:
        """The seconds so far; on a GPU without those that it has not come to yet."""
        self._add_up()
        return self._seconds

    def _add_up(self) -> None:
        while self._waits and self._waits[0][1].is_over():
            begun, ended = self._waits.popleft()
            self._seconds += ended.since(begun)


class _HostMark:
    """A moment of this process."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def is_over(self) -> bool:
        return True

    def since(self, earlier: "_HostMark") -> float:
        """Seconds between two moments."""
        return self._at - earlier._at


class _DeviceMark:
    """The moment at which a GPU has done all that it was given so far, which may lie ahead."""

    def __init__(self) -> None:
        self._event = torch.cuda.Event(enable_timing=True)
        self._event.record()

    def is_over(self) -> bool:
        return self._event.query()

    def since(self, earlier: "_DeviceMark") -> float:
        """Seconds between two moments that are over."""
        return earlier._event.elapsed_time(self._event) / 1000
