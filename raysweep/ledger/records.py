"""The durable record of a sweep: one JSON file for each run, in a folder of its own.

    RESULTS/records/C-s42-1f2e3d4c.json      what a run was, whether it finished or failed, its results and curves
    RESULTS/attempts/C-s42-1f2e3d4c          a line for each time that it was started
    RESULTS/runs/C-s42-1f2e3d4c/             its checkpoints and its filters (see `run_folders`, `filters`)
    RESULTS/predictions/                     the class that each run finds for each test image (see `predictions`)
    RESULTS/code/                            copies of the code that made the runs (see `code`)
    RESULTS/inbox/                           commands handed over to the sweep that holds the folder
    RESULTS/results.parquet                  all records as one table, a function of the records alone
    RESULTS/damaged/                         records that were found damaged and set aside
    RESULTS/status.json                      what the last sweep was doing when it last wrote it (see `live.state`)
    RESULTS/report.html                      the report, refreshed while a sweep runs (by analysis)
    RESULTS/plan.json, questions.json        what the last sweep set out to run, and why (see `plan`)
    RESULTS/looks.jsonl                      when somebody looked at the answers, and what was said (by analysis)
    RESULTS/notes.jsonl                      what people noted on runs, and which they left out (by analysis)
    RESULTS/rounds.jsonl                     what sweeps that go on until they have answers chose to run (see `rounds`)
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
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from raysweep.ledger import durable, frames
from raysweep.ledger.predictions import remove_predictions
from raysweep.ledger.reading import UnreadableError, exists, names_in
from raysweep.ledger.record_files import Record, RecordFiles, read_record
from raysweep.ledger.run_folders import RunFolders, safe_name
from raysweep.ledger.store import LedgerError, Store, this_process

if TYPE_CHECKING:
    import pandas as pd

FINISHED, FAILED, DIVERGED = "finished", "failed", "diverged"
"""How a run ends: with results; with an error that a mended cause may not repeat; with a loss that is not a number."""


SETTLED = (FINISHED, DIVERGED)
"""Runs that ended so are not done again: with the same seed, a run that diverged would diverge once more."""

NAMED = 3
"""A line names at most this many files."""

STOPPED = "stopped"
"""Reported for a run that will resume; no record has this status."""


def run_key(trainable: str, config: Any, *, num_workers: int, data: str, numerics: int) -> str:
    """Hash of everything that can change a run's numbers: 16 hexadecimal digits.

    `config` is a dataclass, of which the fields marked cosmetic take no part, nor those marked later at their defaults,
    and -0.0 is 0.0; `data` is the fingerprint of the data and `numerics` the version of the trainable's arithmetic.
    """
    cosmetic = {f.name for f in dataclasses.fields(config) if f.metadata.get("cosmetic")}
    fields = {name: value for name, value in recorded_config(config).items() if name not in cosmetic}
    fields = {name: 0.0 if isinstance(value, float) and value == 0 else value for name, value in fields.items()}
    identity = {
        "trainable": trainable,
        "config": fields,
        "num_workers": num_workers,
        "data": data,
        "numerics": numerics,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def recorded_config(config: Any) -> dict[str, Any]:
    """The fields of a configuration as a record holds them: without those that came later and have their defaults."""
    later = {
        f.name for f in dataclasses.fields(config) if f.metadata.get("later") and getattr(config, f.name) == f.default
    }
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in later}


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
        self.files = RecordFiles()
        """What else lay among the records when they were last read."""

    def begin(self, run_name: str) -> int:
        """Note that a run starts. Returns the number of this attempt, counted from 1."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return self.store.append(_attempts(run_name), f"{now} {this_process()}")

    def write(self, record: Record, first: Callable[[], Record] = dict) -> None:
        """Add a record, or replace that of the same run. `record["run"]` names it.

        `first` is called when the record may be written, to write what belongs beside it; what it returns is added to
        the record. Raises SupersededError where it says which attempt it is of and a later one has begun.
        """
        run, attempt = record["run"], record.get("attempt")
        with contextlib.nullcontext(0) if attempt is None else self.store.appended(_attempts(run)) as latest:
            if attempt is not None and attempt < latest:
                raise SupersededError(f"{run}: attempt {attempt} was replaced by attempt {latest}")
            self.store.put(_record(run), durable.sealed({**record, **first()}))

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
        """Forget a run's record, its checkpoints, predictions and results, so that it is done again from the start.

        Its attempts stay, so that none of them can record anything from now on.
        """
        self.runs.remove(run_name)  # first, since what cannot be removed would be gone on from
        remove_predictions(self.store, run_name)
        self.store.withdraw(_record(run_name))

    def record(self, run_name: str) -> Record | None:
        """The record of a run, or None if it has none, or a damaged one. Raises UnreadableError as `records`."""
        self.store.fetch(_record(run_name))
        return read_record(self.folder / _record(run_name))

    def records(self) -> Iterator[Record]:
        """All sound records, by name.

        Raises UnreadableError, in the end, where one cannot be read: nobody knows then which runs are done.
        """
        yield from self.readable_records()
        if self.files.unreadable:
            raise UnreadableError(self.files.unreadable)

    def readable_records(self) -> Iterator[Record]:
        """The records that can be read, by name, for those who report them; `files` says what is missing."""
        self.files = RecordFiles()
        try:
            self.store.fetch("records/")
        except UnreadableError as error:
            self.files.unreadable |= error.reasons
        yield from self.files.read(self.folder / "records")

    def copies(self) -> str:
        """A line about the copies of records that lay among those when they were last read; "" where there were none.

        A program that synchronises folders makes such copies (see `record_files`).
        """
        if not (names := self.files.copies):
            return ""
        said = "is a copy of a record" if len(names) == 1 else "are copies of records"
        named = f"{', '.join(names[:NAMED])}{f' and {len(names) - NAMED} more' * (len(names) > NAMED)}"
        return f"{named} in {self.location}/records {said} that a synchronising program left; it counts for nothing"

    @property
    def damaged(self) -> list[str]:
        """The damaged records that lay among the others when they were last read."""
        return [f"{self.location}/records/{name}" for name in self.files.damaged]

    def set_aside(self) -> list[str]:
        """Move damaged records aside, so that their runs are trained again. Returns their new places.

        Raises UnreadableError, before anything is moved, where a record cannot be read.
        """
        for _ in self.records():
            pass
        moved = []
        for file in self.files.damaged:
            name = self._unused("damaged", file)
            self.store.move(f"records/{file}", name)
            moved.append(f"{self.location}/{name}")
        return moved

    def has_records(self) -> bool:
        """Whether a sweep has left results here, readable or not. Raises UnreadableError where nobody can tell."""
        with contextlib.suppress(UnreadableError):
            self.store.fetch("records/")
        try:
            return exists(self.folder / "records")
        except UnreadableError:
            if os.path.lexists(self.folder / "records"):
                return True
            raise

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
        taken = set(names_in(self.folder / folder))
        names = (f"{name}.{n}" if n else name for n in itertools.count())
        return f"{folder}/{next(name for name in names if name not in taken)}"


def _record(run_name: str) -> str:
    return f"records/{safe_name(run_name)}.json"


def _attempts(run_name: str) -> str:
    return f"attempts/{safe_name(run_name)}"
