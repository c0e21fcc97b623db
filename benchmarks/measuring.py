"""What the benchmarks need: the processor, spreads and peak memory."""

import os
import platform
import statistics
import threading
from collections.abc import Callable, Sequence
from pathlib import Path


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median (min .. max)."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} .. {max(values):{form}})"


def cpu() -> str:
    """Model of the processor, and what it has for bfloat16."""
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.partition(":")[::2] for line in info.splitlines())
    model = next((value.strip() for name, value in fields.items() if name.strip() == "model name"), "unknown")
    has = [flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if f" {flag} " in f"{info} "]
    return f"{len(os.sched_getaffinity(0))} x {model} ({' '.join(has)})"


def peak_megabytes_with_children(work: Callable[[], object]) -> int:
    """Most memory (MB) that this process and its children hold while `work` runs; shared pages count once. Linux."""
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
    """A process's memory, in which a page of n processes counts as 1/n; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    except (OSError, ValueError):
        return 0
