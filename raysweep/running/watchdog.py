"""Notices that the workers of a run get on no more, shows where they are, and ends them.

Trainables leave a pulse for each worker in the run's folder (see `trainables.control`): host, pid, batches so far and
the longest time that one has taken. How long is too long follows from that.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

LOOK_EVERY = 2.0
SHORTEST = 60.0
"""Seconds without a batch that are never too long."""
TIMES_THE_LONGEST = 20
"""What is too long in units of the longest batch so far."""
FEW = 3
"""Batches before which nothing is known of how long they take."""
LONGEST = 1800.0
"""Seconds for the first batches: compilation, reading of the data."""


class Watchdog(threading.Thread):
    """Watches the workers of a Train run over the folders of its runs; `end` is called with (host, pid) of each."""

    def __init__(
        self,
        folders: Sequence[Path],
        num_workers: int,
        end: Callable[[list[tuple[str, int]]], None],
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """`refresh` brings the folders up to date, where they are on another machine; it may raise OSError."""
        super().__init__(daemon=True, name="watchdog")
        self._folders, self._num_workers, self._end = folders, num_workers, end
        self._refresh = refresh
        self._done = threading.Event()
        self._before = set(self._pulses().values())
        self.verdict = ""
        """What was found, where the workers were ended."""

    def run(self) -> None:
        """Look until stopped, or until the workers had to be ended."""
        seen: dict[Path, tuple[str, float]] = {}
        while not self._done.wait(LOOK_EVERY):
            now = time.monotonic()
            pulses = {file: text for file, text in self._pulses().items() if text not in self._before}
            for file, text in pulses.items():
                if file not in seen or seen[file][0] != text:
                    seen[file] = text, now
            seen = {file: found for file, found in seen.items() if file in pulses}  # a run's end removes them
            late = [(now - since, file) for file, (_, since) in seen.items()]
            if late and max(late)[0] > limit(pulses.values(), self._num_workers):
                self._give_up(*max(late), list(pulses.values()))
                return

    def stop(self) -> None:
        """Watch no more; returns when nothing is read any more."""
        self._done.set()
        if self.ident:  # has been started
            self.join()

    def _give_up(self, seconds: float, file: Path, pulses: Sequence[str]) -> None:
        rank = file.name.rpartition("-")[2]
        where = f"runs/{file.parent.name} of the results"
        self.verdict = f"no worker got on for {seconds:.0f} s (worker {rank} first); their stacks are in {where}"
        self._end([(host, int(pid)) for host, pid, *_ in (pulse.split() for pulse in pulses)])

    def _pulses(self) -> dict[Path, str]:
        """The pulses that are there, by file."""
        found = {}
        with contextlib.suppress(OSError):  # as far as is known here, then
            self._refresh()
        for folder in self._folders:
            for file in folder.glob("pulse-*"):
                try:
                    text = file.read_text()
                except OSError:  # its run has ended meanwhile
                    continue
                if text.endswith("\n"):
                    found[file] = text
        return found


def limit(pulses: Collection[str], num_workers: int) -> float:
    """Seconds without a batch that are too long for workers with these pulses."""
    batches = [(int(pulse.split()[2]), float(pulse.split()[3])) for pulse in pulses]
    if len(batches) < num_workers or min(n for n, _ in batches) < FEW:
        return LONGEST
    return max(SHORTEST, TIMES_THE_LONGEST * max(longest for _, longest in batches))
