"""Where the trials of a launch run, on this machine or on a cluster, and which resources each trial holds there."""

from typing import Protocol

from raysweep.admission import Devices, Gates, RunBundle, gpu_share
from raysweep.ledger import Ledger, Record
from raysweep.planning import PlannedRun, Resources, usable_cpus

SLOT = "slot"
"""The custom resource that a cluster's head node is started with; each trial takes as many as it has slots."""
CPU_CORES = usable_cpus()
"""The cores that this process may use."""


class Placement(Protocol):
    """What the queue asks of the machines on which trials run, and tells them."""

    slots: float
    """How many workers can train at the same time if each takes one GPU, or one CPU where there are no GPUs."""
    prepares: bool
    """Whether a trial's processes may start before its turn, and may be used again by a later trial."""

    def slots_of(self, run: PlannedRun) -> float:
        """The number of slots that a trial of this run takes."""

    def per_worker(self, run: PlannedRun) -> dict[str, float]:
        """The resources of each worker of this run, by Ray's names for them ("CPU", "GPU")."""

    def asked_of_ray(self, slots: float) -> dict[str, float]:
        """The resources that a trial with this many slots has to get from Ray before it starts."""

    def has_room(self, bundle: RunBundle) -> bool:
        """Whether the free slots, of which there are enough for a bundle, can be used together by it."""

    def may_start(self) -> bool:
        """Whether the processes of one more trial may start now."""

    def trial_starts(self, trial: str) -> str:
        """Note that the processes of a trial start. Returns the path of its gate, or "" where there are no gates."""

    def let_in(self, bundle: RunBundle, trial: str) -> None:
        """Give a trial the resources of its bundle, for which its processes may be waiting."""

    def release(self, bundle: RunBundle) -> bool:
        """Take back the resources of a bundle. Returns whether its results may change how many slots others need."""

    def trial_ended(self, trial: str) -> None:
        """Note that a trial has ended and its processes are free."""


class LocalPlacement:
    """This machine, where trials wait at gates without holding resources, and `Admission` alone hands out slots."""

    prepares = True

    def __init__(self, ledger: Ledger, resources: Resources, gpus_per_worker: float | None = None) -> None:
        """Without `gpus_per_worker`, a run takes the share of a GPU that earlier runs of its experiment needed."""
        self._ledger, self._resources, self._gpus_per_worker = ledger, resources, gpus_per_worker
        self.slots: float = resources.slots
        self._gates = Gates(ledger.folder)
        self._devices = Devices(resources.gpu_names or [str(i) for i in range(resources.gpus)])
        self._records: list[Record] | None = None
        """The records that say how much GPU memory runs needed; None where they have to be read again."""
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
        """No more trials are on their way to their gates than this machine has cores for them."""
        on_their_way = sum(not self._gates.is_reached(trial) for trial in self._trials)
        return on_their_way < min(CPU_CORES, self._resources.cpus)

    def trial_starts(self, trial: str) -> str:
        self._trials.add(trial)
        return self._gates.of(trial)

    def let_in(self, bundle: RunBundle, trial: str) -> None:
        devices = self._devices.take(bundle, *_workers_and_share(bundle)) if self._resources.gpus else []
        self._gates.open(trial, devices)

    def release(self, bundle: RunBundle) -> bool:
        self._devices.release(bundle)
        self._records = None
        return self._resources.gpus > 0 and self._gpus_per_worker is None

    def trial_ended(self, trial: str) -> None:
        self._trials.discard(trial)
        self._gates.remove(trial)

    def _share(self, run: PlannedRun) -> float | None:
        """The part of a GPU that each worker of a run takes; None on a machine without GPUs."""
        if self._gpus_per_worker is not None or not self._resources.gpus:
            return self._gpus_per_worker
        if self._records is None:
            self._records = list(self._ledger.records())
        return gpu_share(run, self._records)


class ClusterPlacement:
    """A running cluster, where Ray holds trials back until their resources are free, and places their workers."""

    prepares = False

    def __init__(
        self, resources: Resources, gpus_per_worker: float | None = None, max_concurrent: int | None = None
    ) -> None:
        """`max_concurrent` limits the number of trials at a time; given on a cluster without the resource SLOT."""
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

    def trial_starts(self, trial: str) -> str:
        return ""

    def let_in(self, bundle: RunBundle, trial: str) -> None:
        """Do nothing: Ray lets a trial start when the resources that it asked for are free."""

    def release(self, bundle: RunBundle) -> bool:
        return False

    def trial_ended(self, trial: str) -> None:
        """Do nothing: Ray has already taken the trial's resources back."""


def _workers_and_share(bundle: RunBundle) -> tuple[int, float]:
    """The number of workers of a bundle, and how many GPUs, or which part of one, each of them takes."""
    workers = bundle.runs[0].num_workers
    return workers, bundle.slots / workers
