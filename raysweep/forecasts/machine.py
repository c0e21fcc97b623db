"""The device and the memory of this machine, found without importing torch."""

import contextlib
import functools
import os
import platform
import subprocess
from pathlib import Path


@functools.lru_cache(maxsize=8)
def device_name(threads: int, *, gpu: bool) -> str:
    """The device as results name it: the first GPU, or the processor with the number of threads."""
    if gpu:
        for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
            for line in file.read_text().splitlines():
                if line.startswith("Model:"):
                    return line.partition(":")[2].strip()
    name = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine()}, threads: {threads}"


def worker_memory(workers_at_once: int, *, gpu: bool) -> int | None:
    """Bytes that a worker may use, of its GPU or as its share of the machine; None where that is unknown."""
    return _gpu_memory() if gpu else _memory() // workers_at_once


def _memory() -> int:
    """Bytes of the machine's memory, or what the control group of this process leaves of it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(file).read_text()))
    return total


@functools.lru_cache(maxsize=1)
def _gpu_memory() -> int | None:
    """Bytes of the smallest GPU's memory; None where nvidia-smi does not say."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        return min(int(line) for line in said.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
