"""Ends the processes of a Ray cluster whose driver is gone: `python -m raysweep.running.supervisor MARK`.

Ray's own agents linger for minutes after their driver was killed. This process is started before the cluster, and sees
the driver's end as the end of its standard input. What the driver has started since then inherits a mark in its
environment; what a marked process has started belongs to it as well. Standard library only, Linux only.
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

LOOK_EVERY = 0.5
"""Seconds between two looks at the descendants."""
GRACE = 3.0
"""Seconds that they have to end by themselves."""

AT_LEAST = 1.0
"""Seconds to look on where none is seen: one may be about to start."""
MARK = "RAYSWEEP_CLUSTER"

Process = tuple[int, str]
"""Pid and start time, which together are never used twice."""


def watch() -> "subprocess.Popen[bytes]":
    """Start a supervisor of all processes that we start from now on.

    It ends them, and itself, when its input is closed or we are gone.
    """
    os.environ[MARK] = uuid.uuid4().hex
    return subprocess.Popen(
        [sys.executable, "-m", "raysweep.running.supervisor", os.environ[MARK]],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the driver
    )


def processes() -> dict[int, tuple[int, str]]:
    """Parent and start time of all living processes, by pid."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if fields[0] != "Z":
                found[int(folder.name)] = int(fields[1]), fields[19]
    return found


def below(roots: set[int], table: dict[int, tuple[int, str]] | None = None) -> set[Process]:
    """The living processes whose ancestors include one of `roots`, in a look at all `processes()` that may be given."""
    table = processes() if table is None else table
    found = set()
    for pid, (parent, started) in table.items():
        while parent in table and parent not in roots:
            parent = table[parent][0]
        if parent in roots:
            found.add((pid, started))
    return found


class _Ours:
    """The marked processes and all that they have started."""

    def __init__(self, mark: str) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self._known: set[Process] = set()
        self._others: set[Process] = set()

    def living(self) -> set[Process]:
        """Those that live, with what is new since the last look."""
        table = processes()
        now = {(pid, started) for pid, (_, started) in table.items()}
        for process in now - self._known - self._others:
            (self._known if self._is_marked(process[0]) else self._others).add(process)
        self._known &= now
        self._known |= below({pid for pid, _ in self._known}, table)
        # A title may have been written over the mark, or the mark be yet to come: a process that has just been forked
        # still shows its parent's environment.
        self._others = (self._others & now) - self._known
        return self._known

    def look_again(self) -> None:
        """Read the marks of all processes once more."""
        self._others.clear()

    def _is_marked(self, pid: int) -> bool:
        if pid == os.getpid():
            return False
        try:
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile, or is another user's
            return False


def main() -> None:
    """Watch until the driver lets go of our input, then end what it has left."""
    ours = _Ours(sys.argv[1])
    while not select.select([sys.stdin], [], [], LOOK_EVERY)[0]:
        ours.living()
    now = time.monotonic()
    while (ours.living() and time.monotonic() < now + GRACE) or time.monotonic() < now + AT_LEAST:
        ours.look_again()
        time.sleep(0.2)
    while known := ours.living():
        for pid, _ in known:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ours.look_again()
        time.sleep(0.2)


if __name__ == "__main__":
    main()
