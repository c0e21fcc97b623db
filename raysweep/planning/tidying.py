"""Removes from finished runs what only unfinished ones need, in results that are there already."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from raysweep.experiment import Family
from raysweep.ledger import FINISHED, Ledger, Record, open_ledger
from raysweep.messages import PlanError
from raysweep.planning.families import families_of
from raysweep.planning.options import Options
from raysweep.trainable_loader import TrainableError, load_trainable


def tidy(options: Options, families: Callable[[], Sequence[Family]]) -> Iterator[str]:
    """Tidy the results of --results or, with --plan, only look. Yields what is freed, or would be, line by line.

    Raises PlanError for a folder without results, and for one in which a sweep is running.
    """
    families_of(options, families)  # imports the file of --space, which may hold the trainable
    ledger = open_ledger(options.results)
    if not ledger.has_records():
        raise PlanError(f"{ledger.location} holds no results of a sweep")
    if options.plan:
        yield from _tidied(ledger, remove=False)
        return
    if holder := ledger.store.holder():
        raise PlanError(
            f"{ledger.location} is in use by {holder}; wait for it, or add --plan to see what is to be freed"
        )
    with ledger.store.locked():
        yield from _tidied(ledger, remove=True)


def _tidied(ledger: Ledger, *, remove: bool) -> Iterator[str]:
    """A line for each experiment with such files, one for each reason why runs are left alone, and the total."""
    freed: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    left_alone: Counter[str] = Counter()
    for record in ledger.records():
        if not _was_trained_here(record):
            continue
        try:
            traits = load_trainable(record["trainable"]).traits
            size = ledger.runs.tidy(record["run"], traits.checkpoints, traits.kept, remove=remove)
        except (TrainableError, OSError) as error:
            left_alone[str(error)] += 1
            continue
        if size:
            freed[record["experiment"]] += size
            runs[record["experiment"]] += 1
    for name, size in freed.most_common():
        yield f"  {name}: {_spoken(size)} of {_counted(runs[name])}"
    for reason, number in left_alone.items():
        yield f"  left alone: {_counted(number)} ({reason})"
    done = f"{'freed' if remove else 'would free'} {_spoken(freed.total())} of {_counted(runs.total())}"
    yield f"{done if freed else 'nothing to free'} in {ledger.location}"


def _was_trained_here(record: Record) -> bool:
    """Whether a record belongs to a finished run that has a folder of its own."""
    return record["status"] == FINISHED and "same_as" not in record and bool(record.get("trainable"))


def _counted(runs: int) -> str:
    return f"{runs} finished run{'s' * (runs != 1)}"


def _spoken(size: float) -> str:
    """Bytes as text: 2.8 GB, 31 MB."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= factor:
            return f"{size / factor:.{'0' if size >= 10 * factor else '1'}f} {unit}"
    return f"{size:.0f} bytes"
