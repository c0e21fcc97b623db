"""How many runs of an experiment may share a GPU, by the memory that runs of it were seen to need."""

from collections.abc import Iterable

from raysweep.ledger import FINISHED, Record
from raysweep.planning import PlannedRun, settings_of

SPARE = 0.9
"""Of a GPU's memory, the part to be filled: each process also has a context of its own, of some hundred megabytes."""
CONTEXT_BYTES = 600 * 2**20
MOST_ON_A_GPU = 8

PEAK, WHOLE = "peak_memory_bytes", "device_memory_bytes"
"""Results that say what a run needed of its GPU's memory, and how much that is."""


def gpu_share(run: PlannedRun, records: Iterable[Record]) -> float:
    """The part of a GPU that a run needs: 1 / n, or 1 where its time is a result, it has several workers, or none that
    differs from it in its seed alone has been measured on a GPU."""
    if run.experiment.timed or run.num_workers > 1:
        return 1.0
    needs = [
        (record["results"][PEAK] + CONTEXT_BYTES) / (SPARE * record["results"][WHOLE])
        for record in records
        if record["status"] == FINISHED and record["results"].get(WHOLE) and _is_alike(record, run)
    ]
    if not needs:
        return 1.0
    return 1 / min(MOST_ON_A_GPU, max(1, int(1 / max(needs))))


def _is_alike(record: Record, run: PlannedRun) -> bool:
    """Whether a record is of the same configuration but for the seed, and for where files lie."""
    return (
        record.get("trainable") == run.experiment.trainable
        and record.get("num_workers") == run.num_workers
        and record["results"].get(PEAK) is not None
        and all(record["config"].get(name) == getattr(run.config, name) for name in settings_of(run.config))
    )
