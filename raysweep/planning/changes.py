"""Says how a plan differs from the results that are there, since experiments may change between two commands."""

from collections.abc import Sequence
from typing import Any

from raysweep.ledger import FINISHED, Code, Record
from raysweep.messages import enumerated
from raysweep.planning.runs import PlannedRun, settings_of
from raysweep.trainable_loader import load_trainable

NAMED = 4
"""A line names at most this many runs."""


def describe_changes(runs: Sequence[PlannedRun], records: Sequence[Record]) -> list[str]:
    """Return a line for each of the words kept, extended, changed, new and orphaned that applies to some run.

    A run is kept if its result is there, from whichever experiment. It is extended if it is another seed of an
    experiment with results, or trains for longer than these did; changed if another field differs, which the line
    names; and new otherwise. A result is orphaned if its experiment is planned but no planned run would give it.
    """
    done = _done(records)
    kinds: dict[str, list[str]] = {"kept": [], "new": [], "extended": [], "changed": [], "orphaned": []}
    for run, (kind, how) in zip(runs, relations(runs, records), strict=True):
        kinds[kind].append(f"{run.experiment.name} seed {run.config.seed}{how and f' ({how})'}")
    planned, keys = {run.experiment.name for run in runs}, {run.key for run in runs}
    kinds["orphaned"] = [r["run"] for r in done if r["experiment"] in planned and r["key"] not in keys]
    return [_line(kind, names) for kind, names in kinds.items() if names]


def made_by_other_code(runs: Sequence[PlannedRun], records: Sequence[Record], code: Code) -> str:
    """A line about the finished runs among those planned that other code has made; "" if there are none."""
    keys = {run.key for run in runs}
    done = [r for r in records if r["status"] == FINISHED and r["key"] in keys and not r.get("imported")]
    others = [record["run"] for record in done if (record.get("provenance") or {}).get("code") != code.hash]
    return f"{_line('made by other code', others)} (--code RUN DIR brings it back)" if others else ""


def relations(runs: Sequence[PlannedRun], records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return for each run whether it is kept, new, extended or changed, and which of its fields say so."""
    done = _done(records)
    known = {record["key"] for record in done}
    return [("kept", "") if run.key in known else _relation(run, done) for run in runs]


def _done(records: Sequence[Record]) -> list[Record]:
    """The records of finished runs, without imported runs that were not accepted in place of a planned one."""
    return [record for record in records if record["status"] == FINISHED and not _is_imported(record)]


def _is_imported(record: Record) -> bool:
    """Whether a record belongs to an imported run that was not accepted in place of a planned one."""
    return bool(record.get("imported")) and "same_as" not in record


def _relation(run: PlannedRun, done: Sequence[Record]) -> tuple[str, str]:
    """Return whether a run without a result is new, extended or changed, and which of its fields say so."""
    earlier = [(_differences(r, run), r["seed"]) for r in done if r["experiment"] == run.experiment.name]
    if not earlier:
        return "new", ""
    different, _ = min(earlier, key=lambda found: (len(found[0]), found[1] != run.config.seed))
    fields = load_trainable(run.experiment.trainable).traits.longer
    longer = all(name in fields and old < new for name, (old, new) in different.items())
    how = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in different.items())
    return "extended" if longer else "changed", how or "another seed"


def _differences(record: Record, run: PlannedRun) -> dict[str, tuple[Any, Any]]:
    """The fields in which a recorded and a planned run differ, the seed aside, as name -> (recorded, planned)."""
    planned = run.record()
    pairs = {name: (record["config"].get(name), planned["config"][name]) for name in settings_of(run.config)}
    pairs |= {name: (record.get(name), planned[name]) for name in ("num_workers", "data", "numerics")}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def _line(kind: str, names: Sequence[str]) -> str:
    said = f"{kind}: {len(names)} run{'s' * (len(names) != 1)}"
    if kind in ("kept", "new"):
        return said
    return f"{said}: {enumerated(names, NAMED)}"
