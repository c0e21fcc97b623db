"""Ends the processes of a Ray cluster whose driver is gone, however it went. `python -m raysweep.supervisor PID ...`

Ray's own agents linger for minutes after their driver was killed. This process is started beside the driver, knows the
processes that the driver has started for Ray and all below them, and sees the driver's end as the end of its standard
input. Standard library only, Linux only.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK_EVERY = 1.0
"""Seconds between two looks at the descendants."""
GRACE = 3.0
"""Seconds that they have to end by themselves."""

Process = tuple[int, str]
"""Pid and start time, which together are never used twice."""


def watch(roots: set[Process]) -> "subprocess.Popen[bytes]":
    """Start a supervisor of processes of ours; it ends them, and itself, when its input is closed or we are gone."""
    return subprocess.Popen(
        [sys.executable, "-m", "raysweep.supervisor", *(str(pid) for pid, _ in roots)],
        cwd=Path(__file__).parent.parent,
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


def below(roots: set[int]) -> set[Process]:
    """The living processes whose ancestors include one of `roots`."""
    table = processes()
    found = set()
    for pid, (parent, started) in table.items():
        while parent in table and parent not in roots:
            parent = table[parent][0]
        if parent in roots:
            found.add((pid, started))
    return found


def main() -> None:
    """Watch until the driver lets go of our input, then end what it has left."""
    roots = {int(pid) for pid in sys.argv[1:]}
    known = {(pid, started) for pid, (_, started) in processes().items() if pid in roots}

    def look() -> set[Process]:
        """Those of the known that live, and what is below them by now."""
        table = processes()
        living = {(pid, started) for pid, started in known if pid in table and table[pid][1] == started}
        return living | below({pid for pid, _ in living})

    while not select.select([sys.stdin], [], [], LOOK_EVERY)[0]:
        known = look()
    until = time.monotonic() + GRACE
    while (known := look()) and time.monotonic() < until:
        time.sleep(0.2)
    while known := look():
        for pid, _ in known:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
