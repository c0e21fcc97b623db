"""Counts the CPUs and GPUs of a sweep, and those that a run takes."""

import os
from dataclasses import dataclass, replace

from raysweep.messages import PlanError
from raysweep.planning.control_groups import cpu_quota
from raysweep.planning.gpus import visible_gpus
from raysweep.planning.runs import PlannedRun


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """The CPUs and GPUs that the trials of this sweep can hold together."""

    cpus: int
    gpus: int
    node_cpus: int | None = None
    """The CPUs of the smallest node, or None if there is only one node."""
    gpu_names: tuple[str, ...] = ()
    """The names by which CUDA_VISIBLE_DEVICES lists the GPUs of this machine."""
    missing_gpus: tuple[str, ...] = ()
    """The names in CUDA_VISIBLE_DEVICES of no GPU of this machine."""

    def __str__(self) -> str:
        missing = f" (CUDA_VISIBLE_DEVICES names {','.join(self.missing_gpus)}, not there)" * bool(self.missing_gpus)
        return (f"{self.gpus} GPU(s)" if self.gpus else f"{self.cpus} CPU(s)") + missing

    @property
    def slots(self) -> int:
        """How many workers can train at the same time with one GPU (or, without GPUs, one CPU) each."""
        return self.gpus or self.cpus

    def per_worker(self, run: PlannedRun, gpus_per_worker: float | None) -> dict[str, float]:
        """The resources of one worker: its share of the GPUs and of the CPUs.

        Without GPUs, a worker gets one CPU, or its share of a node's CPUs if the run is timed.
        """
        if not self.gpus:
            own = (self.node_cpus or self.cpus) // run.num_workers if run.experiment.timed else 1
            return {"CPU": max(1, own)}
        gpu = 1.0 if gpus_per_worker is None else gpus_per_worker
        cpu = self.cpus / self.gpus * gpu
        return {"GPU": gpu, "CPU": int(cpu) if cpu >= 1 else int(100 * cpu) / 100}

    def slots_of(self, run: PlannedRun, gpus_per_worker: float | None) -> float:
        """How many slots a run takes; a slot is a GPU or, without GPUs, a CPU."""
        worker = self.per_worker(run, gpus_per_worker)
        return run.num_workers * worker.get("GPU", worker["CPU"])

    def require_room(self, runs: list[PlannedRun], gpus_per_worker: float | None) -> None:
        """Raises PlanError if a run needs more than the whole cluster has."""
        kind = "GPU" if self.gpus else "CPU"
        for run in runs:
            need = self.slots_of(run, gpus_per_worker)
            if need > self.slots:
                raise PlanError(
                    f"{run.experiment.name} needs {need:g} {kind}s for its {run.num_workers} workers; the cluster has "
                    f"{self.slots} (--num-workers {self.slots} is the most)"
                )
            if self.gpus and gpus_per_worker is not None and gpus_per_worker < 1 < run.num_workers:
                raise PlanError(
                    f"{run.experiment.name}: {run.num_workers} workers of one run cannot share a GPU "
                    f"(--gpus-per-worker {gpus_per_worker:g})"
                )
            if need > 1 and need != int(need):
                raise PlanError(f"{run.num_workers} workers with {gpus_per_worker} GPUs each are not whole GPUs")


def local_resources(*, use_gpus: bool = True, slots: int | None = None) -> Resources:
    """The CPUs that this process may use and the GPUs of this machine, found without importing torch.

    With `slots`, so many of the GPUs and their part of the CPUs or, without GPUs, so many of the CPUs. Raises PlanError
    if there are fewer.
    """
    names, missing = visible_gpus() if use_gpus else ([], [])
    found = Resources(cpus=usable_cpus(), gpus=len(names), gpu_names=tuple(names), missing_gpus=tuple(missing))
    if slots is None:
        return found
    if slots > found.slots:
        raise PlanError(f"--slots {slots}: the most are {found.slots}, since this process may use {found}")
    if not found.gpus:
        return replace(found, cpus=slots)
    return replace(found, cpus=max(1, found.cpus * slots // found.gpus), gpus=slots, gpu_names=found.gpu_names[:slots])


def usable_cpus() -> int:
    """The CPUs that this process may use, by its affinity and by the quotas of its control groups, at least one.

    A part of a CPU is not counted. Where the system tells of neither, these are all CPUs of the machine.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota + 1e-6)))
