"""What both benchmarks need: spreads and peak memory."""

import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median (min .. max)."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} .. {max(values):{form}})"


def peak_megabytes() -> int:
    """Most memory (MB of 2^20 bytes) that this process has held since its program started."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) // 2**10
    except (OSError, KeyError):  # not Linux, where ru_maxrss would include the process that started this one
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)
