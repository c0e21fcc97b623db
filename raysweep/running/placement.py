"""Where the trials of a launch run, and what they hold there: on this machine, or on a cluster that others share."""

import os
from typing import Protocol

from raysweep.admission import Devices, Gates, RunBundle, gpu_share
from raysweep.ledger import Ledger, Record
from raysweep.planning import PlannedRun, Resources

SLOT = "slot"
"""The resource of Ray's that a cluster's head node is started with, for trials to take."""
CORES = len(os.sched_getaffinity(0))


class Placement(Protocol):
    """What the queue asks about the machines."""

    slots: float
    """Workers that can train at the same time, at one GPU (or CPU) each."""
    prepares: bool
    """Whether the processes of a trial may start before its turn, and be used again by a later trial."""

    def slots_of(self, run: PlannedRun) -> float:
        """The slots that a trial of this run takes."""

    def per_worker(self, run: PlannedRun) -> dict[str, float]:
        """The resources of each worker, by Ray's names."""

    def asked_of_ray(self, slots: float) -> dict[str, float]:
        """The resources of Ray's that a trial with so many slots asks for before it starts."""

    def has_room(self, bundle: RunBundle) -> bool:
        """Whether a bundle for which there are slots finds room in them."""

    def may_start(self) -> bool:
        """Whether the processes of one more trial may start now."""

    def starts(self, trial: str) -> str:
        """Note that the processes of a trial start. Returns its gate, or "" where there are none."""

    def let_in(self, bundle: RunBundle, trial: str) -> None:
        """Give a trial what its bundle holds from now on."""

    def leave(self, bundle: RunBundle) -> bool:
        """Take back what a bundle holds. Returns whether others may need less from now on."""

    def trial_ended(self, trial: str) -> None:
        """Note that the processes of a trial are free again."""


class LocalPlacement:
    """This machine: trials wait at gates, holding nothing, and admission alone hands out slots and GPUs."""

    prepares = True

    def __init__(self, ledger: Ledger, resources: Resources, gpus_per_worker: float | None = None) -> None:
        """Without `gpus_per_worker`, a run on a GPU takes as much of it as runs like it were seen to need."""
        self._ledger, self._resources, self._gpus_per_worker = ledger, resources, gpus_per_worker
        self.slots: float = resources.slots
        self._gates = Gates(ledger.folder)
        self._devices = Devices(resources.gpu_names or [str(i) for i in range(resources.gpus)])
        self._records: list[Record] | None = None
        """What runs were seen to need; None where it has to be read again."""
        self._trials: set[str] = set()

    def slots_of(self, run: PlannedRun) -> float:
        return self._resources.slots_of(run, self._share(run))

    def per_worker(self, run: PlannedRun) -> dict[str, float]:
        return self._resources.per_worker(run, self._share(run))

    def asked_of_ray(self, slots: float) -> dict[str, float]:
        return {}

    def has_room(self, bundle: RunBundle) -> bool:
        return not self._resources.gpus or self._devices.suffice(*_workers_and_share(bundle))

    def may_start(self) -> bool:
        """No more trials are on their way to their gates than this machine has cores."""
        return sum(not self._gates.is_reached(trial) for trial in self._trials) < CORES

    def starts(self, trial: str) -> str:
        self._trials.add(trial)
        return self._gates.of(trial)

    def let_in(self, bundle: RunBundle, trial: str) -> None:
        devices = self._devices.take(bundle, *_workers_and_share(bundle)) if self._resources.gpus else []
        self._gates.open(trial, devices)

    def leave(self, bundle: RunBundle) -> bool:
        self._devices.release(bundle)
        self._records = None
        return self._resources.gpus > 0 and self._gpus_per_worker is None

    def trial_ended(self, trial: str) -> None:
        self._trials.discard(trial)
        self._gates.remove(trial)

    def _share(self, run: PlannedRun) -> float | None:
        """The part of a GPU that each worker of a run takes; None without GPUs."""
        if self._gpus_per_worker is not None or not self._resources.gpus:
            return self._gpus_per_worker
        if self._records is None:
            self._records = list(self._ledger.records())
        return gpu_share(run, self._records)


class ClusterPlacement:
    """A running cluster, where Ray's own resources hold trials back and place their workers."""

    prepares = False

    def __init__(
        self, resources: Resources, gpus_per_worker: float | None = None, max_concurrent: int | None = None
    ) -> None:
        """`max_concurrent` is the number of trials at a time on a cluster without the resource SLOT."""
        self._resources, self._gpus_per_worker, self._max_concurrent = resources, gpus_per_worker, max_concurrent
        self.slots: float = max_concurrent or resources.slots

    def slots_of(self, run: PlannedRun) -> float:
        return 1 if self._max_concurrent else self._resources.slots_of(run, self._gpus_per_worker)

    def per_worker(self, run: PlannedRun) -> dict[str, float]:
        return self._resources.per_worker(run, self._gpus_per_worker)

    def asked_of_ray(self, slots: float) -> dict[str, float]:
        return {} if self._max_concurrent else {SLOT: slots}

    def has_room(self, bundle: RunBundle) -> bool:
        return True

    def may_start(self) -> bool:
        return True

    def starts(self, trial: str) -> str:
        return ""

    def let_in(self, bundle: RunBundle, trial: str) -> None:
        """Ray does so, when the resources that the trial asked for are free."""

    def leave(self, bundle: RunBundle) -> bool:
        return False

    def trial_ended(self, trial: str) -> None:
        """Ray has taken its resources back."""


def _workers_and_share(bundle: RunBundle) -> tuple[int, float]:
    """The workers of a bundle, and the GPUs that each of them takes."""
    workers = bundle.runs[0].num_workers
    return workers, bundle.slots / workers
