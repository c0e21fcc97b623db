"""What a sweep needs of the process that starts it and of its machine, looked at before anything is written."""

import datetime
import importlib.util
import os
import sys
from pathlib import Path

from raysweep.cache import can_write_below
from raysweep.messages import PlanError

SOCKET_BYTES = 107
"""The most bytes that Linux allows in the path of a socket."""
LEAST_OPEN_FILES = 256
"""How many files a process must be allowed to have open at a time; with 64 the processes of Ray do not start."""
BEYOND_RAY = "--list, --plan, --print-commands, `python -m analysis` and trainables without Ray work here too"
"""What can be done where no sweep can."""


def require_environment(*, own_cluster: bool) -> None:
    """Raises PlanError, in a line, for what a sweep cannot do without; `own_cluster` where it starts Ray itself."""
    _require_processes()
    if sys.flags.optimize > 1:
        raise PlanError("Python runs without docstrings (PYTHONOPTIMIZE=2 or -OO), which Ray reads; unset it")
    if importlib.util.find_spec("ray") is None:
        raise PlanError(f"a sweep needs Ray, which this Python lacks ({sys.executable}); {BEYOND_RAY}")
    _require_open_files()
    if own_cluster:
        _require_room_for_sockets()


def _require_processes() -> None:
    """Raises PlanError where the processes of a sweep could not be watched, as on other systems than Linux."""
    try:
        Path("/proc/self/stat").read_bytes()
    except OSError:
        raise PlanError(
            f"a sweep needs Linux, in whose /proc it watches over its processes, and there is none; {BEYOND_RAY}"
        ) from None


def _require_open_files() -> None:
    """Raises PlanError where the processes of a sweep may not open as many files as they need."""
    import resource  # Windows has none

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # Ray raises the limit up to this one
    if most != resource.RLIM_INFINITY and most < LEAST_OPEN_FILES:
        raise PlanError(
            f"each process may have {most} files open at a time, and Ray needs {LEAST_OPEN_FILES}: `ulimit -n 4096` "
            "raises that, as far as this machine allows"
        )


def _require_room_for_sockets() -> None:
    """Raises PlanError where Ray cannot make its sockets in the temporary folder."""
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "")
    folder = os.environ.get(name, "/tmp")
    session = f"session_{datetime.datetime.now():%Y-%m-%d_%H-%M-%S_%f}_{os.getpid()}"
    most = SOCKET_BYTES - len(f"/ray/{session}/sockets/plasma_store")
    said = f"{name}={folder}" if name else folder
    if len(os.fsencode(folder)) > most:
        raise PlanError(
            f"{said} is too long for the sockets that Ray makes below it, by {len(os.fsencode(folder)) - most} bytes; "
            "name a shorter folder by RAY_TMPDIR, such as RAY_TMPDIR=/tmp"
        )
    if not can_write_below(Path(folder, "ray")):
        raise PlanError(f"{said}: Ray cannot write to the folder ray in it; name another one by RAY_TMPDIR")
