"""What several benchmarks need: the name of the processor, spreads and peak memory."""

import os
import statistics
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from trainables.device import CPUINFO, cpu_name


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """The text "median (min .. max)" for values."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} .. {max(values):{form}})"


def cpu() -> str:
    """Number and model of the processors, and their instructions for bfloat16."""
    try:
        info = CPUINFO.read_text()
    except OSError:  # not Linux
        return cpu_name()
    has = [flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if f" {flag} " in f"{info} "]
    return f"{len(os.sched_getaffinity(0))} x {cpu_name()} ({' '.join(has)})"


def peak_megabytes_with_children(work: Callable[[], object]) -> int:
    """The most memory, in MB, that this process and its children hold while `work` runs. Needs Linux.

    Pages that several processes share count once.
    """
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            peak = max(peak, sum(_proportional_kilobytes(pid) for pid in (str(os.getpid()), *children)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return peak // 2**10


def _proportional_kilobytes(pid: str) -> int:
    """A process's memory in kilobytes, where a page that n processes share counts as 1/n; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    except (OSError, ValueError):
        return 0
