"""How whoever started a training speaks with it while it runs: by files in its save_dir.

    save_dir/stop        asks the run to write its checkpoint after the present step, and to end
    save_dir/pulse-0     shows that worker 0 is still at work, which rewrites it about once a second
    save_dir/stacks-0    shows where each thread of worker 0 is, which appends to it when it gets SIGUSR1

This works the same under Ray, torchrun and a shell, on one machine and on storage that several machines share.
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
from trainables.files import make_folder, open_to_group

Action = Literal["go on", "save", "stop"]
ACTIONS: tuple[Action, ...] = ("go on", "save", "stop")
"""What a worker has to do after a step: nothing, write a checkpoint, or write a checkpoint and end."""

T = TypeVar("T")

STOP = "stop"
"""Name of the file that asks a run to end."""
PULSE_EVERY = 1.0
"""Seconds between two heartbeats that are written."""


class RunControl:
    """One worker's part in the exchange. All workers of a run have to call `after_step` together; each calls
    `heartbeat` on its own.
    """

    def __init__(self, folder: Path, workers: Workers, *, checkpoint_minutes: float) -> None:
        self._folder, self._workers, self._save_every = folder, workers, 60 * checkpoint_minutes
        self._group = _group_of_cpus() if workers.world_size > 1 else None
        make_folder(folder)
        self._pulse = folder / f"pulse-{workers.rank}"
        self._stacks = (folder / f"stacks-{workers.rank}").open("a")  # those of an earlier attempt stay
        open_to_group(Path(self._stacks.name))
        faulthandler.register(signal.SIGUSR1, self._stacks)
        self._last_saved = time.monotonic()
        self.begin_phase()

    def begin_phase(self) -> None:
        """Say that batches of another kind follow: how long earlier ones took is forgotten, the first may take longer.

        Whoever watches the pulse allows for several times the longest interval between two heartbeats.
        """
        self._beats, self._longest, self._last_beat = 0, 0.0, time.monotonic()
        self._write_pulse()

    def heartbeat(self) -> None:
        """Say that this worker has finished another batch."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last_beat)
        self._beats, self._last_beat = self._beats + 1, now
        if now - self._last_written >= PULSE_EVERY:
            self._write_pulse()

    def with_heartbeats(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, with a heartbeat after each has been worked on."""
        for item in items:
            yield item
            self.heartbeat()

    def after_step(self) -> Action:
        """What to do after a step of the optimiser, which the main worker decides for all."""
        self.heartbeat()
        action = 0
        if self._workers.is_main:
            if (self._folder / STOP).exists():
                action = ACTIONS.index("stop")
            elif time.monotonic() - self._last_saved >= self._save_every:
                action = ACTIONS.index("save")
        if self._workers.world_size > 1:
            tensor = torch.tensor([action])
            dist.broadcast(tensor, src=0, group=self._group)
            action = int(tensor.item())
        return ACTIONS[action]

    def checkpoint_written(self) -> None:
        """Say that a checkpoint has been written, from which on the minutes to the next one count."""
        self._last_saved = time.monotonic()

    def close(self) -> None:
        """Remove this worker's files, but for stacks that were asked for."""
        faulthandler.unregister(signal.SIGUSR1)
        self._stacks.close()
        self._pulse.unlink(missing_ok=True)
        if not os.path.getsize(self._stacks.name):
            os.unlink(self._stacks.name)

    def _write_pulse(self) -> None:
        """Write host, process id, number of heartbeats, and the longest seconds between two of them."""
        self._last_written = self._last_beat
        temporary = self._pulse.with_name(f".{self._pulse.name}.tmp")
        with contextlib.suppress(OSError):  # a full disk ends the run when its next checkpoint is written
            temporary.unlink(missing_ok=True)
            temporary.write_text(f"{os.uname().nodename} {os.getpid()} {self._beats} {self._longest:.3f}\n")
            open_to_group(temporary)
            temporary.replace(self._pulse)


@functools.lru_cache(maxsize=1)
def _group_of_cpus() -> dist.ProcessGroup | None:
    """A group of all workers in which CPUs communicate, so that no worker waits for a GPU's stream.

    None stands for the default group, where that one does so already.
    """
    return None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
