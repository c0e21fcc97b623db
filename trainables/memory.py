"""Settings of this process's memory allocator, and how much memory it has held."""

import ctypes
import resource
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory(most_bytes: int = 2**30) -> None:
    """Let the allocator keep up to `most_bytes` for the next step instead of giving them back after each operation.

    Every step of a training loop asks for tensors of the same some megabytes. By default glibc returns them to the
    system and the next step pays for fresh pages, which doubled the time of small steps (docs/log.md). With another C
    library than glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**25)  # the most that glibc takes; larger blocks stay mappings of their own
        mallopt(_M_TRIM_THRESHOLD, most_bytes)


def peak_resident_bytes() -> int:
    """The most bytes of memory that this process has held at once since its program started."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 2**10
    except (OSError, KeyError):  # not Linux, where ru_maxrss would include the process that started this one
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10)
