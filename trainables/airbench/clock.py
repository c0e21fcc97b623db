"""The clock of a timed run."""

import contextlib
import time
from collections.abc import Iterator

import torch


class Clock:
    """Counts the seconds that pass while it runs, and those of named parts.

    Parts are timed on CPUs alone: on a GPU a call returns before its work is done.
    """

    def __init__(self, device: torch.device, *, alone: bool = True) -> None:
        """Of a run that is not `alone` on the device no times are taken, and nothing waits for the device."""
        self._device, self._alone = device, alone
        self.parts: dict[str, float] = {}
        """Seconds of each part."""
        self.seconds = 0.0
        """Seconds that the clock has run for."""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a block, to the end of what it started on the device."""
        if not self._alone:
            yield
            return
        self._wait()
        started = time.perf_counter()
        yield
        self._wait()
        self.seconds += time.perf_counter() - started

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block on a CPU to that of the part `name`."""
        started = time.perf_counter()
        yield
        if self._alone and self._device.type == "cpu":
            self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
