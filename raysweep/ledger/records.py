"""The durable record of a sweep: one JSON file for each run, in a folder of its own.

    RESULTS/records/C-s42-1f2e3d4c.json      what a run was, whether it finished or failed, its results and curves
    RESULTS/attempts/C-s42-1f2e3d4c          a line for each time that it was started
    RESULTS/runs/C-s42-1f2e3d4c/             its checkpoints: best.pt, last.pt; while it runs, pulses and stop
    RESULTS/inbox/                           commands handed over to the sweep that holds the folder
    RESULTS/results.parquet                  all records as one table, a function of the records alone
    RESULTS/damaged/                         records that were found damaged and set aside
    RESULTS/status.json                      what the last sweep was doing when it last wrote it (see `state`)
    RESULTS/plan.json, questions.json        what the last sweep set out to run, and why
    RESULTS/ray/                             Ray's own files; nothing is read from them

Records are whole or absent and carry a checksum (see `durable`). The name of a record follows from the run's key, so a
run that is recorded twice is still one result. Attempts are numbered, and what an attempt would record after a later
one has begun is refused: a worker that was given up for lost cannot overwrite its successor's result.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.experiment import require_name
from raysweep.ledger import durable, frames
from raysweep.ledger.questions import is_altered, write_down

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]

FINISHED, FAILED, DIVERGED = "finished", "failed", "diverged"
"""How a run ends: with results; with an error that a mended cause may not repeat; with a loss that is not a number."""


SETTLED = (FINISHED, DIVERGED)
"""Of these, nothing is to be done again: with the same seed, a run that diverged would once more."""

STOPPED = "stopped"
"""What is said of a run that is to be gone on with; no record has it."""

STOP = "stop"
"""A file in a run's folder that asks it to stop."""


DAMAGED = "is damaged; restore a copy of it, or remove it and run the sweep again"


class LedgerError(RuntimeError):
    """The results folder cannot be used; the message is one line."""


def run_key(trainable: str, config: Any, *, num_workers: int, data: str, numerics: int) -> str:
    """Hash of everything that can change a run's numbers: 16 hexadecimal digits.

    `config` is a dataclass, of which the fields marked cosmetic take no part; `data` is the fingerprint of the data
    and `numerics` the version of the trainable's arithmetic.
    """
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if not f.metadata.get("cosmetic")}
    identity = {
        "trainable": trainable,
        "config": fields,
        "num_workers": num_workers,
        "data": data,
        "numerics": numerics,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def this_process() -> str:
    """Who enters an attempt or holds a folder."""
    return f"process {os.getpid()} on {os.uname().nodename}"


def uninterrupted_seconds(record: Record) -> float | None:
    """How long a finished run took that was never interrupted; None of others."""
    if record["status"] != FINISHED or record.get("attempt") != 1:
        return None
    started, finished = (datetime.datetime.fromisoformat(record[name]) for name in ("started", "finished"))
    return (finished - started).total_seconds()


class SupersededError(LedgerError):
    """A later attempt at the same run has begun."""


class HeldError(LedgerError):
    """Another process holds the results folder."""


class Ledger:
    """The records below a results folder, which is made where it does not exist."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.location = str(self.folder)
        """What names these results from any machine; `open_ledger` opens it."""
        self.damaged: list[str] = []
        """Records that could not be read when `records` was last called."""

    def fetch(self, part: str) -> None:
        """Make a file here, or with / at its end a folder, what others see; of a folder it is that already."""

    def share(self, *files: Path) -> None:
        """Let others see files as they are here."""

    def withdraw(self, part: str) -> None:
        """Let others see no more of a file, or with / at its end of a folder."""

    def run_folder(self, run_name: str) -> Path:
        """Where a run keeps its checkpoints."""
        return self.folder / "runs" / _safe(run_name)

    @contextlib.contextmanager
    def at_work(self, run_name: str, rank: int, *, first_here: bool, meet: Callable[[], None]) -> Iterator[None]:
        """While a worker of a run is at work: its folder is, and stays, what others see.

        `first_here` is for one of the workers on a machine; `meet` waits for all of the run.
        """
        yield

    @contextlib.contextmanager
    def seen_from_afar(self) -> Iterator["Ledger"]:
        """A ledger whose files are changed by nobody on this machine but through `fetch`, where that does anything."""
        yield self

    def begin(self, run_name: str) -> int:
        """Enter that a run is started once more. Returns the number of this attempt, counted from 1."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with self._attempts(run_name):
            return durable.append_line(self._attempts_file(run_name), f"{now} {this_process()}")

    def write(self, record: Record) -> None:
        """Add a record, or replace that of the same run. `record["run"]` names it.

        Raises SupersededError where it says which attempt it is of and a later one has begun.
        """
        run, attempt = record["run"], record.get("attempt")
        with contextlib.nullcontext(0) if attempt is None else self._attempts(run) as latest:
            if attempt is not None and attempt < latest:
                raise SupersededError(f"{run}: attempt {attempt} was replaced by attempt {latest}")
            durable.write_sealed(self._file(run), record)
            self.share(self._file(run))

    def adopt(self, planned: Sequence[Record]) -> None:
        """Enter under its planned name, too, what another experiment has already run: a finished run of the same key.

        `same_as` of the new record names the run that was really done.
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
        import shutil

        self._file(run_name).unlink(missing_ok=True)
        self.withdraw(f"records/{run_name}.json")
        shutil.rmtree(self.run_folder(run_name), ignore_errors=True)
        self.withdraw(f"runs/{run_name}/")

    def ask_to_stop(self, run_name: str) -> None:
        """Ask a run to write its checkpoint and end, as trainables.control says."""
        durable.make_folder(self.run_folder(run_name))
        (self.run_folder(run_name) / STOP).touch()
        self.share(self.run_folder(run_name) / STOP)

    def is_asked_to_stop(self, run_name: str) -> bool:
        """Whether it has been, and not been let go on since."""
        self.fetch(f"runs/{run_name}/{STOP}")
        return (self.run_folder(run_name) / STOP).exists()

    def let_go_on(self, run_name: str) -> None:
        """Inverse of `ask_to_stop`."""
        (self.run_folder(run_name) / STOP).unlink(missing_ok=True)
        self.withdraw(f"runs/{run_name}/{STOP}")

    def record(self, run_name: str) -> Record | None:
        """The record of a run; None where there is none that can be read."""
        self.fetch(f"records/{run_name}.json")
        return _read(self._file(run_name))

    def records(self) -> Iterator[Record]:
        """All readable records, by name."""
        self.damaged = []
        self.fetch("records/")
        for file in sorted((self.folder / "records").glob("*.json")):
            record = _read(file)
            if record is None:
                self.damaged.append(str(file))
            else:
                yield record

    def set_aside(self) -> list[Path]:
        """Move damaged records out of the way, so that their runs are done again. Returns where they are now."""
        moved = []
        self.fetch("records/")
        for file in (self.folder / "records").glob("*.json"):
            if _read(file) is None:
                durable.make_folder(self.folder / "damaged")
                taken = {path.name for path in (self.folder / "damaged").iterdir()}
                names = (f"{file.name}.{n}" if n else file.name for n in itertools.count())
                target = self.folder / "damaged" / next(name for name in names if name not in taken)
                file.rename(target)
                durable.sync_folder(target.parent)
                durable.sync_folder(file.parent)
                self.share(target)
                self.withdraw(f"records/{file.name}")
                moved.append(target)
        return moved

    def has_records(self) -> bool:
        """Whether a sweep has left results here."""
        self.fetch("records/")
        return (self.folder / "records").is_dir()

    def frame(self, *, failed: bool = False, records: Iterable[Record] | None = None) -> "pd.DataFrame":
        """The records, all or those given, as a table (see `load_results`)."""
        known = self.records() if records is None else records
        return frames.of_records(record for record in known if failed or record["status"] == FINISHED)

    def write_frame(self) -> None:
        """Leave all records as results.parquet."""
        durable.write_bytes(self.folder / "results.parquet", frames.to_parquet(self.frame(failed=True)))
        self.share(self.folder / "results.parquet")

    def finished(self) -> set[str]:
        """Names of all finished runs; a name holds the run's key, so another configuration has another name."""
        return {record["run"] for record in self.records() if record["status"] == FINISHED}

    def settled(self) -> set[str]:
        """Names of the runs that are not to be done again."""
        return {record["run"] for record in self.records() if record["status"] in SETTLED}

    def write_plan(self, plan: list[Record], questions: list[Record], *, joining: bool = False) -> None:
        """Record what a sweep sets out to run; its questions join those of earlier sweeps.

        With `joining`, its runs join the plan that is there.
        """
        if joining:
            names = {run["run"] for run in plan}
            plan = [*(run for run in self.read_json("plan.json") if run["run"] not in names), *plan]
        durable.write_json(self.folder / "plan.json", plan)
        try:
            earlier = self._written_questions()
        except LedgerError:
            earlier = []  # damaged; those of this sweep take its place
        finished = (record for record in self.records() if record["status"] == FINISHED)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        written = write_down(questions, earlier, finished, now)
        durable.write_json(self.folder / "questions.json", written)
        self.share(self.folder / "plan.json", self.folder / "questions.json")

    def questions(self) -> list[Record]:
        """The questions that were written down; `altered` are those that are not any more what was."""
        return [{**question, "altered": is_altered(question)} for question in self._written_questions()]

    def read_json(self, name: str) -> list[Record]:
        """The content of plan.json or questions.json; empty where there is none."""
        self.fetch(name)
        try:
            content: list[Record] = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return []
        except ValueError:
            raise LedgerError(f"{self.folder / name} {DAMAGED}") from None
        return content

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one sweep; the system lets go of it when this process ends, however it ends.

        Raises LedgerError where another process holds it, or where the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            stream = (self.folder / "lock").open("a+")
        except OSError as error:
            raise LedgerError(f"cannot write to the results folder {self.folder} ({error.strerror})") from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "another process"
                raise HeldError(
                    f"{self.folder} is in use by {holder}; wait for it, name other --results, or add --preempt to have "
                    "it run this first"
                ) from None
            except OSError as error:  # a shared file system that knows no locks
                print(f"{self.folder} cannot be locked ({error.strerror}); take care to run one sweep at a time in it")
            stream.truncate(0)
            stream.write(f"{this_process()}\n")
            stream.flush()
            yield

    def holder(self) -> str | None:
        """The process that holds the folder now; where the file system knows no locks, the last one that did."""
        with contextlib.suppress(FileNotFoundError), (self.folder / "lock").open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return stream.read().strip() or "another process"
        return None

    def _written_questions(self) -> list[Record]:
        """Raises LedgerError where they are damaged."""
        content = self.read_json("questions.json")
        if not isinstance(content, list) or not all(isinstance(question, dict) for question in content):
            raise LedgerError(f"{self.location}/questions.json {DAMAGED}")
        return content

    def _file(self, run_name: str) -> Path:
        return self.folder / "records" / f"{_safe(run_name)}.json"

    def _attempts_file(self, run_name: str) -> Path:
        return self.folder / "attempts" / _safe(run_name)

    @contextlib.contextmanager
    def _attempts(self, run_name: str) -> Iterator[int]:
        """How often a run was started; within this context nobody else starts or records it."""
        file = self._attempts_file(run_name)
        durable.make_folder(file.parent)
        with file.open("ab") as stream:
            with contextlib.suppress(OSError):  # a shared file system that knows no locks
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield len(file.read_bytes().splitlines())


def _safe(run_name: str) -> str:
    """The name of a run. Raises LedgerError for one that could lead out of the results folder."""
    try:
        return require_name(run_name, "run", longest=200)
    except ValueError as error:
        raise LedgerError(str(error)) from None


def _read(file: Path) -> Record | None:
    """A record; None where there is no whole one."""
    record = durable.read_sealed(file)
    return record if record and {"run", "key", "status", "config", "results"} <= record.keys() else None
