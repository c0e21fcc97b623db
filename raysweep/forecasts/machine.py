"""Describes the machine that a plan is for, without torch: its device, its memory, and how a sweep shares them."""

import contextlib
import functools
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raysweep.forecasts.rates import Share
from raysweep.planning import PlannedRun, Resources, memory_limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The machine on which a plan will run, and how a sweep shares it among workers."""

    slots: float
    """How many workers can train at the same time with one GPU (or, without GPUs, one CPU) each."""
    slots_of: Callable[[PlannedRun], float]
    """Returns how many slots a run takes."""
    share_of: Callable[[PlannedRun], Share]
    """Returns what a worker of a run computes on."""
    memory_of: Callable[[PlannedRun], int | None]
    """Returns the bytes that a worker of a run may use, or None if that is unknown."""
    device: Literal["cpu", "cuda"]
    """The kind of device for which trainables are asked for the costs of runs."""
    cache: Path
    """The folder that keeps the rates measured here."""


def machine_of(resources: Resources, gpus_per_worker: float | None, cache: Path) -> Machine:
    """This machine, as a sweep on `resources` shares out its devices; rates are kept in the folder `cache`."""
    gpu = resources.gpus > 0

    def at_once(run: PlannedRun) -> int:
        return max(1, int(resources.slots / resources.slots_of(run, gpus_per_worker) + 1e-9))

    def share_of(run: PlannedRun) -> Share:
        threads = max(1, int(resources.per_worker(run, gpus_per_worker)["CPU"]))
        device = device_name(threads, gpu=gpu)
        return Share(device_name=device, threads=threads, at_once=at_once(run), gpus=resources.gpus)

    def memory_of(run: PlannedRun) -> int | None:
        if resources.slots_of(run, gpus_per_worker) > resources.slots:
            return None  # it is planned for another machine
        room = worker_memory(1 if gpu else at_once(run) * run.num_workers, gpu=gpu)
        return room if room is None or not gpu else int(room * min(1.0, gpus_per_worker or 1.0))

    return Machine(
        slots=resources.slots,
        slots_of=lambda run: resources.slots_of(run, gpus_per_worker),
        share_of=share_of,
        memory_of=memory_of,
        device="cuda" if gpu else "cpu",
        cache=cache,
    )


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
    if gpu:
        return _gpu_memory()
    memory = _memory()
    return None if memory is None else memory // workers_at_once


def _memory() -> int | None:
    """Bytes of the machine's memory, or what the control groups of this process leave of it; None if unknown."""
    limit = memory_limit()
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # a system that does not tell
        return limit
    return total if limit is None else min(total, limit)


@functools.lru_cache(maxsize=1)
def _gpu_memory() -> int | None:
    """Bytes of the smallest GPU's memory, or None if nvidia-smi does not tell."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        return min(int(line) for line in said.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
