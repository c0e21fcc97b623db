"""The durable record of a sweep: one JSON file for each run, in a folder of its own.

    RESULTS/records/C-s42-1f2e3d4c.json      what a run was, whether it finished or failed, its results and curves
    RESULTS/attempts/C-s42-1f2e3d4c          a line for each time that it was started
    RESULTS/runs/C-s42-1f2e3d4c/             its checkpoints (see `run_folders`)
    RESULTS/inbox/                           commands handed over to the sweep that holds the folder
    RESULTS/results.parquet                  all records as one table, a function of the records alone
    RESULTS/damaged/                         records that were found damaged and set aside
    RESULTS/status.json                      what the last sweep was doing when it last wrote it (see `live.state`)
    RESULTS/plan.json, questions.json        what the last sweep set out to run, and why (see `plan`)
    RESULTS/families.json                    what families say of their results (see `declarations`)
    RESULTS/ray/                             Ray's own files; nothing is read from them

Records are whole or absent and carry a checksum (see `durable`). The name of a record follows from the run's key, so a
run that is recorded twice is still one result. Attempts are numbered, and what an attempt would record after a later
one has begun is refused: a worker that was given up for lost cannot overwrite its successor's result.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.ledger import durable, frames
from raysweep.ledger.run_folders import RunFolders, safe_name
from raysweep.ledger.store import LedgerError, Store, this_process

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]

FINISHED, FAILED, DIVERGED = "finished", "failed", "diverged"
"""How a run ends: with results; with an error that a mended cause may not repeat; with a loss that is not a number."""


SETTLED = (FINISHED, DIVERGED)
"""Runs that ended so are not done again: with the same seed, a run that diverged would diverge once more."""

STOPPED = "stopped"
"""Reported for a run that will resume; no record has this status."""


def run_key(trainable: str, config: Any, *, num_workers: int, data: str, numerics: int) -> str:
    """Hash of everything that can change a run's numbers: 16 hexadecimal digits.

    `config` is a dataclass, of which the fields marked cosmetic take no part, and -0.0 is 0.0; `data` is the
    fingerprint of the data and `numerics` the version of the trainable's arithmetic.
    """
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if not f.metadata.get("cosmetic")}
    fields = {name: 0.0 if isinstance(value, float) and value == 0 else value for name, value in fields.items()}
    identity = {
        "trainable": trainable,
        "config": fields,
        "num_workers": num_workers,
        "data": data,
        "numerics": numerics,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def uninterrupted_seconds(record: Record) -> float | None:
    """The seconds that a run took, or None if it did not finish or was interrupted."""
    if record["status"] != FINISHED or record.get("attempt") != 1:
        return None
    started, finished = (datetime.datetime.fromisoformat(record[name]) for name in ("started", "finished"))
    return (finished - started).total_seconds()


class SupersededError(LedgerError):
    """A later attempt at the same run has begun."""


class Ledger:
    """The records of a results folder, wherever it is stored."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = store.folder
        """The folder on this machine that holds files of the results after `store.fetch`."""
        self.location = store.location
        """The folder or URL of the results, as `open_ledger` takes it on any machine."""
        self.runs = RunFolders(store)
        self.damaged: list[str] = []
        """Records that could not be read when `records` was last called."""

    def begin(self, run_name: str) -> int:
        """Note that a run starts. Returns the number of this attempt, counted from 1."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return self.store.append(_attempts(run_name), f"{now} {this_process()}")

    def write(self, record: Record) -> None:
        """Add a record, or replace that of the same run. `record["run"]` names it.

        Raises SupersededError where it says which attempt it is of and a later one has begun.
        """
        run, attempt = record["run"], record.get("attempt")
        with contextlib.nullcontext(0) if attempt is None else self.store.appended(_attempts(run)) as latest:
            if attempt is not None and attempt < latest:
                raise SupersededError(f"{run}: attempt {attempt} was replaced by attempt {latest}")
            self.store.put(_record(run), durable.sealed(record))

    def adopt(self, planned: Sequence[Record]) -> None:
        """Record a finished run of another experiment under the name of a planned run with the same key, too.

        `same_as` of the new record names the run that was trained.
        """
        records = [record for record in self.records() if record["status"] == FINISHED]
        names, by_key = {record["run"] for record in records}, {record["key"]: record for record in records}
        for plan in planned:
            done = by_key.get(plan["key"])
            if done and plan["run"] not in names:
                self.write({**done, **plan, "attempt": None, "same_as": done.get("same_as") or done["run"]})

    def remove(self, run_name: str) -> None:
        """Forget a run's record, its checkpoints and its results, so that it is done again from the start.

        Its attempts stay, so that none of them can record anything from now on.
        """
        self.store.withdraw(_record(run_name))
        self.runs.remove(run_name)

    def record(self, run_name: str) -> Record | None:
        """The record of a run, or None if it has no readable one."""
        self.store.fetch(_record(run_name))
        return _read(self.folder / _record(run_name))

    def records(self) -> Iterator[Record]:
        """All readable records, by name."""
        self.damaged = []
        self.store.fetch("records/")
        for file in sorted((self.folder / "records").glob("*.json")):
            record = _read(file)
            if record is None:
                self.damaged.append(f"{self.location}/records/{file.name}")
            else:
                yield record

    def set_aside(self) -> list[str]:
        """Move damaged records aside, so that their runs are trained again. Returns their new places."""
        moved = []
        self.store.fetch("records/")
        for file in sorted((self.folder / "records").glob("*.json")):
            if _read(file) is None:
                name = self._unused("damaged", file.name)
                self.store.move(f"records/{file.name}", name)
                moved.append(f"{self.location}/{name}")
        return moved

    def has_records(self) -> bool:
        """Whether a sweep has left results here."""
        self.store.fetch("records/")
        return (self.folder / "records").is_dir()

    def frame(self, *, failed: bool = False, records: Iterable[Record] | None = None) -> "pd.DataFrame":
        """The records, all or those given, as a table (see `load_results`)."""
        known = self.records() if records is None else records
        return frames.of_records(record for record in known if failed or record["status"] == FINISHED)

    def write_frame(self) -> None:
        """Leave all records as results.parquet."""
        self.store.put("results.parquet", frames.to_parquet(self.frame(failed=True)))

    def finished(self) -> set[str]:
        """Names of all finished runs; a name holds the run's key, so another configuration has another name."""
        return {record["run"] for record in self.records() if record["status"] == FINISHED}

    def settled(self) -> set[str]:
        """Names of the runs that are not trained again."""
        return {record["run"] for record in self.records() if record["status"] in SETTLED}

    def _unused(self, folder: str, name: str) -> str:
        """A free name in a folder of the store: the given one or, if that is taken, one with a number behind it."""
        self.store.fetch(f"{folder}/")
        taken = {path.name for path in (self.folder / folder).glob("*")}
        names = (f"{name}.{n}" if n else name for n in itertools.count())
        return f"{folder}/{next(name for name in names if name not in taken)}"


def _record(run_name: str) -> str:
    return f"records/{safe_name(run_name)}.json"


def _attempts(run_name: str) -> str:
    return f"attempts/{safe_name(run_name)}"


def _read(file: Path) -> Record | None:
    """The content of a record, or None if it is missing or damaged."""
    record = durable.read_sealed(file)
    return record if record and {"run", "key", "status", "config", "results"} <= record.keys() else None
