"""Notices that the workers of a run make no progress any more, and has them ended.

Each worker of a trainable rewrites a file pulse-RANK in its run's folder while it makes progress (see
`trainables.control`). It holds the worker's host, its process id, the number of its batches so far, and how long the
longest of them took in seconds, from which follows how long a silence is too long.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

LOOK_EVERY = 2.0
"""Seconds between two looks at the pulses."""
SHORTEST_LIMIT = 60.0
"""Seconds without a batch that are allowed however short the batches are."""
TIMES_THE_LONGEST_BATCH = 20
"""A silence of more than this many times the longest batch so far is too long."""
MIN_BATCHES = 3
"""Batches that each worker must have done before the length of a batch counts as known."""
FIRST_BATCHES_LIMIT = 1800.0
"""Seconds without a batch that are allowed until then, since code is compiled and data are read first."""


class Watchdog(threading.Thread):
    """Watches the workers of one Ray Train run through the folders of the runs that they do."""

    def __init__(
        self,
        folders: Sequence[Path],
        num_workers: int,
        end: Callable[[list[tuple[str, int]]], None],
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """`end` is called with the (host, pid) of every worker when they are to be ended.

        `refresh` brings the folders up to date where workers on other machines write theirs elsewhere; it may raise
        OSError.
        """
        super().__init__(daemon=True, name="watchdog")
        self._folders, self._num_workers, self._end = folders, num_workers, end
        self._refresh = refresh
        self._stopped = threading.Event()
        self._earlier_pulses = set(self._pulses().values())
        self.verdict = ""
        """Why the workers were ended, in a line; empty while they have not been."""

    def run(self) -> None:
        """Look at the pulses until `stop` is called or the workers have to be ended."""
        seen: dict[Path, tuple[str, float]] = {}
        while not self._stopped.wait(LOOK_EVERY):
            now = time.monotonic()
            pulses = {file: text for file, text in self._pulses().items() if text not in self._earlier_pulses}
            for file, text in pulses.items():
                if file not in seen or seen[file][0] != text:
                    seen[file] = text, now
            seen = {file: found for file, found in seen.items() if file in pulses}  # a run that ends removes its pulses
            silent = [(now - since, file) for file, (_, since) in seen.items()]
            if silent and max(silent)[0] > limit(pulses.values(), self._num_workers):
                self._end_workers(*max(silent), list(pulses.values()))
                return

    def stop(self) -> None:
        """Stop watching, and return once no file is being read any more."""
        self._stopped.set()
        if self.ident:  # the thread has been started
            self.join()

    def _end_workers(self, seconds: float, file: Path, pulses: Sequence[str]) -> None:
        rank = file.name.rpartition("-")[2]
        where = f"runs/{file.parent.name} of the results"
        self.verdict = f"no worker got on for {seconds:.0f} s (worker {rank} first); their stacks are in {where}"
        self._end([(host, int(pid)) for host, pid, *_ in (pulse.split() for pulse in pulses)])

    def _pulses(self) -> dict[Path, str]:
        """The content of each complete pulse file."""
        found = {}
        with contextlib.suppress(OSError):  # the pulses that are known here have to do, then
            self._refresh()
        for folder in self._folders:
            for file in folder.glob("pulse-*"):
                try:
                    text = file.read_text()
                except OSError:  # its run has ended in the meantime
                    continue
                if text.endswith("\n"):
                    found[file] = text
        return found


def limit(pulses: Collection[str], num_workers: int) -> float:
    """The seconds that workers with these pulses may go without a batch."""
    batches = [(int(pulse.split()[2]), float(pulse.split()[3])) for pulse in pulses]
    if len(batches) < num_workers or min(n for n, _ in batches) < MIN_BATCHES:
        return FIRST_BATCHES_LIMIT
    return max(SHORTEST_LIMIT, TIMES_THE_LONGEST_BATCH * max(longest for _, longest in batches))
