"""How whoever started a training speaks with it while it runs: by files in its save_dir.

    save_dir/stop        asks the run to write its checkpoint after the present step, and to end
    save_dir/pulse-0     one for each worker, rewritten about once a second: that it is still at work
    save_dir/stacks-0    where each of a worker's threads is, written when the worker gets SIGUSR1

So that it works the same under Ray, torchrun and a shell, on one machine and on storage that several share.
"""

import contextlib
import faulthandler
import functools
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import torch
import torch.distributed as dist

from trainables.distributed import Workers

Order = Literal["go on", "save", "stop"]
ORDERS: tuple[Order, ...] = ("go on", "save", "stop")

T = TypeVar("T")

STOP = "stop"
PULSE_EVERY = 1.0
"""Seconds between two pulses."""


class Control:
    """One worker's side. `after_step` is for all workers of a run at once, `beat` for each alone."""

    def __init__(self, folder: Path, workers: Workers, *, checkpoint_minutes: float) -> None:
        self._folder, self._workers, self._every = folder, workers, 60 * checkpoint_minutes
        self._group = _orders_group() if workers.world_size > 1 else None
        folder.mkdir(parents=True, exist_ok=True)
        self._pulse = folder / f"pulse-{workers.rank}"
        self._stacks = (folder / f"stacks-{workers.rank}").open("a")  # those of an earlier attempt stay
        faulthandler.register(signal.SIGUSR1, self._stacks)
        self._saved = time.monotonic()
        self.begin()

    def begin(self) -> None:
        """Say that what follows is of another kind: how long things took is forgotten, the first may take its time."""
        self._beats, self._longest, self._beaten = 0, 0.0, time.monotonic()
        self._tell()

    def beat(self) -> None:
        """Say that this worker has got on by a batch."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._beaten)
        self._beats, self._beaten = self._beats + 1, now
        if now - self._told >= PULSE_EVERY:
            self._tell()

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items, with a beat after each."""
        for item in items:
            yield item
            self.beat()

    def after_step(self) -> Order:
        """What to do after a step of the optimiser, which the main worker decides for all."""
        self.beat()
        order = 0
        if self._workers.is_main:
            if (self._folder / STOP).exists():
                order = ORDERS.index("stop")
            elif time.monotonic() - self._saved >= self._every:
                order = ORDERS.index("save")
        if self._workers.world_size > 1:
            tensor = torch.tensor([order])
            dist.broadcast(tensor, src=0, group=self._group)
            order = int(tensor.item())
        return ORDERS[order]

    def _tell(self) -> None:
        self._told = self._beaten
        beside = self._pulse.with_name(f".{self._pulse.name}.tmp")
        with contextlib.suppress(OSError):  # a full disk is met when there is something to lose
            beside.write_text(f"{os.uname().nodename} {os.getpid()} {self._beats} {self._longest:.3f}\n")
            beside.replace(self._pulse)

    def saved(self) -> None:
        """Say that a checkpoint has been written."""
        self._saved = time.monotonic()

    def close(self) -> None:
        """Leave nothing behind but stacks that were asked for."""
        faulthandler.unregister(signal.SIGUSR1)
        self._stacks.close()
        self._pulse.unlink(missing_ok=True)
        if not os.path.getsize(self._stacks.name):
            os.unlink(self._stacks.name)


@functools.lru_cache(maxsize=1)
def _orders_group() -> dist.ProcessGroup | None:
    """A group in which the CPUs speak, so that no order waits for the GPUs' streams; None for the default one."""
    return None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
