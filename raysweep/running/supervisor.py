"""Ends the processes of a Ray cluster whose driver has died: `python -m raysweep.running.supervisor MARK`.

Without it, Ray's own agents would linger for minutes after their driver was killed. The supervisor is started before
the cluster, and learns of the driver's end from the end of its standard input. All that the driver starts from then on
inherits a mark in its environment, by which the supervisor recognises it; the descendants of marked processes count as
marked too. This file uses the standard library only, and works on Linux only.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from raysweep.modules import root

LOOK_EVERY = 0.5
"""Seconds between two looks at the running processes."""
GRACE = 3.0
"""Seconds that marked processes have to end by themselves after their driver has ended."""

MIN_GRACE = 1.0
"""Seconds to keep looking after the driver's end even if no marked process is seen, as one may be about to start."""
MARK = "RAYSWEEP_CLUSTER"
"""The environment variable that holds the mark."""

Process = tuple[int, str]
"""A process id and its start time in clock ticks since boot, which together never name another process."""


def watch() -> "subprocess.Popen[bytes]":
    """Start a supervisor of all processes that this one starts from now on.

    It ends them, and then itself, when its standard input is closed, as it is when this process ends.
    """
    os.environ[MARK] = uuid.uuid4().hex
    return subprocess.Popen(
        [sys.executable, "-m", "raysweep.running.supervisor", os.environ[MARK]],
        cwd=root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that Ctrl-C reaches the driver only
    )


def processes() -> dict[int, tuple[int, str]]:
    """The parent's pid and the start time of every living process, by pid."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # the process has ended in the meantime
                continue
            if fields[0] != "Z":
                found[int(folder.name)] = int(fields[1]), fields[19]
    return found


def descendants(roots: set[int], table: dict[int, tuple[int, str]] | None = None) -> set[Process]:
    """The living processes with one of `roots` as an ancestor; `table` is what `processes()` returned, if known."""
    table = processes() if table is None else table
    found = set()
    for pid, (parent, started) in table.items():
        while parent in table and parent not in roots:
            parent = table[parent][0]
        if parent in roots:
            found.add((pid, started))
    return found


def send_to_descendants(number: int, only: set[Process] | None = None) -> set[Process]:
    """Send a signal to the descendants of this process, or to `only` those; a supervisor gets none. Returns them."""
    sent = set()
    for process in descendants({os.getpid()}):
        if (only is None or process in only) and not _is_supervisor(process[0]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process[0], number)
                sent.add(process)
    return sent


def _is_supervisor(pid: int) -> bool:
    try:
        return __name__.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended in the meantime
        return False


class _MarkedProcesses:
    """The processes that carry the mark, and their descendants."""

    def __init__(self, mark: str) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self._marked: set[Process] = set()
        self._unmarked: set[Process] = set()

    def living(self) -> set[Process]:
        """Look at all processes, and return those that are marked and alive."""
        table = processes()
        now = {(pid, started) for pid, (_, started) in table.items()}
        for process in now - self._marked - self._unmarked:
            (self._marked if self._is_marked(process[0]) else self._unmarked).add(process)
        self._marked &= now
        self._marked |= descendants({pid for pid, _ in self._marked}, table)
        # A process that shows no mark may still be a descendant: it may have written a title over its environment, or
        # have been forked so recently that it still shows its parent's environment.
        self._unmarked = (self._unmarked & now) - self._marked
        return self._marked

    def look_again(self) -> None:
        """Read the environments of all unmarked processes again at the next look."""
        self._unmarked.clear()

    def _is_marked(self, pid: int) -> bool:
        if pid == os.getpid():
            return False
        try:
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # it has ended in the meantime, or belongs to another user
            return False


def main() -> None:
    """Wait until standard input is closed, then end the processes that the driver has left behind."""
    marked = _MarkedProcesses(sys.argv[1])
    while not select.select([sys.stdin], [], [], LOOK_EVERY)[0]:
        marked.living()
    now = time.monotonic()
    while (marked.living() and time.monotonic() < now + GRACE) or time.monotonic() < now + MIN_GRACE:
        marked.look_again()
        time.sleep(0.2)
    while left := marked.living():
        for pid, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        marked.look_again()
        time.sleep(0.2)


if __name__ == "__main__":
    main()
