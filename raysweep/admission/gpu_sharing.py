"""How many runs of an experiment may share a GPU, judged by the GPU memory that earlier runs of it needed."""

from collections.abc import Iterable, Mapping
from typing import Any

from raysweep.ledger import FINISHED, Record, recorded_config
from raysweep.planning import PlannedRun, settings_of

FILLED = 0.9
"""The part of a GPU's memory that its runs may fill together."""
CONTEXT_BYTES = 600 * 2**20
"""The memory that each process takes for its CUDA context, which the measured peak does not include."""
MAX_RUNS_ON_A_GPU = 8

PEAK, CAPACITY = "peak_memory_bytes", "device_memory_bytes"
"""The results of a run that hold the most memory it needed on its GPU, and the memory which that GPU has."""


def gpu_share(run: PlannedRun, records: Iterable[Record]) -> float:
    """The part of a GPU that a run needs, 1 / n where n runs may share it.

    It is 1 where the run is timed, where it has several workers, and where no run that differs from it only in the seed
    has been measured on a GPU yet.
    """
    if run.experiment.timed or run.num_workers > 1:
        return 1.0
    recorded = recorded_config(run.config)
    config = {name: recorded.get(name) for name in settings_of(run.config)}
    shares = [
        (record["results"][PEAK] + CONTEXT_BYTES) / (FILLED * record["results"][CAPACITY])
        for record in records
        if record["status"] == FINISHED and record["results"].get(CAPACITY) and _is_alike(record, run, config)
    ]
    if not shares:
        return 1.0
    return 1 / min(MAX_RUNS_ON_A_GPU, max(1, int(1 / max(shares))))


def _is_alike(record: Record, run: PlannedRun, config: Mapping[str, Any]) -> bool:
    """Whether a record has these values of the run's configuration, all but seed and paths, and its peak is known."""
    return (
        record.get("trainable") == run.experiment.trainable
        and record.get("num_workers") == run.num_workers
        and record["results"].get(PEAK) is not None
        and all(record["config"].get(name) == value for name, value in config.items())
    )
