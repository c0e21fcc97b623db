"""Counts the CPUs and GPUs of a sweep, and those that a run takes."""

import glob
import os
from dataclasses import dataclass

from raysweep.messages import PlanError
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

    def __str__(self) -> str:
        return f"{self.gpus} GPU(s)" if self.gpus else f"{self.cpus} CPU(s)"

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


def local_resources(*, use_gpus: bool = True) -> Resources:
    """The CPUs that this process may use and the GPUs of this machine, found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        names = [str(i) for i in range(len(glob.glob("/dev/nvidia[0-9]*")))]
    else:
        names = [device.strip() for device in visible.split(",") if device.strip() not in ("", "-1")]
    names = names if use_gpus else []
    return Resources(cpus=len(os.sched_getaffinity(0)), gpus=len(names), gpu_names=tuple(names))
