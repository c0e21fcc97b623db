"""The limits that control groups set for a process: those of its container, its batch job or its service.

Linux alone has control groups, in two versions whose files differ; elsewhere no limit is found. A process obeys the
limits of its own group and of all groups around that one. Within a container, the names of the groups may be those of
the world outside, whose folders are not there; the container's own limits then lie in the outermost folder.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def cpu_quota(system: Path = Path("/")) -> float | None:
    """How many CPUs this process may keep busy, or None without a limit. `system` is the root of the file system."""
    found = []
    for folder in _folders("cpu", system):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()  # version 2; without a limit the quota is "max"
            found.append(float(quota) / float(period))
        with contextlib.suppress(OSError, ValueError):
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            found += [float(quota) / float(period)] if float(quota) > 0 else []  # version 1; -1 is no limit
    return min(found, default=None)


def memory_limit(system: Path = Path("/")) -> int | None:
    """How many bytes of memory this process may hold, or None without a limit."""
    found = []
    for folder in _folders("memory", system):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                found.append(int((folder / name).read_text()))
    return min(found, default=None)


def _folders(controller: str, system: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, as far as they are known, the outermost ones first."""
    second = system / "sys/fs/cgroup"
    first = second / controller
    yield from (second, first)
    with contextlib.suppress(OSError):
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            folder = second if not controllers else first
            if not controllers or controller in controllers.split(","):
                for part in path.strip("/").split("/"):
                    folder /= part
                    yield folder
