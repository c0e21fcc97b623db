"""What a plan has to do with the results that are there already: experiments may change between two invocations."""

from collections.abc import Sequence
from typing import Any

from raysweep.ledger import FINISHED, Record
from raysweep.planning.runs import PlannedRun, settings_of

LONGER = ("epochs", "lr_epochs")
"""More of these is the same experiment, trained for longer."""

NAMED = 4
"""Most runs that a line names."""


def describe_changes(runs: Sequence[PlannedRun], records: Sequence[Record]) -> list[str]:
    """A line for each kind of relation that occurs.

    A run is kept (its result is there, by whichever experiment), extended (another seed, or more epochs), changed (it
    says in what) or new. Orphaned is a result of a planned experiment that no planned run would give.
    """
    done = _done(records)
    kinds: dict[str, list[str]] = {"kept": [], "new": [], "extended": [], "changed": [], "orphaned": []}
    for run, (kind, how) in zip(runs, relations(runs, records), strict=True):
        kinds[kind].append(f"{run.experiment.name} seed {run.config.seed}{how and f' ({how})'}")
    planned, keys = {run.experiment.name for run in runs}, {run.key for run in runs}
    kinds["orphaned"] = [r["run"] for r in done if r["experiment"] in planned and r["key"] not in keys]
    return [_line(kind, names) for kind, names in kinds.items() if names]


def relations(runs: Sequence[PlannedRun], records: Sequence[Record]) -> list[tuple[str, str]]:
    """Of each run, whether it is kept, new, extended or changed, and how."""
    done = _done(records)
    known = {record["key"] for record in done}
    return [("kept", "") if run.key in known else _relation(run, done) for run in runs]


def _done(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record["status"] == FINISHED and not _is_imported(record)]


def _is_imported(record: Record) -> bool:
    """Whether it is the authors' own run as it came, not in place of one of ours."""
    return bool(record.get("imported")) and "same_as" not in record


def _relation(run: PlannedRun, done: Sequence[Record]) -> tuple[str, str]:
    """Whether a run without a result is new, extends the results of its experiment, or changes them, and how."""
    earlier = [(_differences(r, run), r["seed"]) for r in done if r["experiment"] == run.experiment.name]
    if not earlier:
        return "new", ""
    different, _ = min(earlier, key=lambda found: (len(found[0]), found[1] != run.config.seed))
    longer = all(name in LONGER and old < new for name, (old, new) in different.items())
    how = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in different.items())
    return "extended" if longer else "changed", how or "another seed"


def _differences(record: Record, run: PlannedRun) -> dict[str, tuple[Any, Any]]:
    """What a recorded run and a planned one differ in but for the seed: name -> (recorded, planned)."""
    planned = run.record()
    pairs = {name: (record["config"].get(name), planned["config"][name]) for name in settings_of(run.config)}
    pairs |= {name: (record.get(name), planned[name]) for name in ("num_workers", "data", "numerics")}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def _line(kind: str, names: Sequence[str]) -> str:
    said = f"{kind}: {len(names)} run{'s' * (len(names) != 1)}"
    if kind in ("kept", "new"):
        return said
    return f"{said}: {', '.join(names[:NAMED])}{', ...' * (len(names) > NAMED)}"
