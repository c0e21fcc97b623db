"""What people do with the copies of code that sweeps have left (see `ledger.code`): look at one, and run by one."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from raysweep.ledger import SPACE, Ledger, Record, fetch_code
from raysweep.messages import PlanError, nearest
from raysweep.paths import expanded
from raysweep.planning.options import Options, without
from raysweep.planning.runs import PlannedRun


def bring_back(ledger: Ledger, run: str, folder: str) -> None:
    """Copy the code that made a run into a folder, which must not be there yet. Raises PlanError, in a line."""
    names = [record["run"] for record in ledger.records()]
    record = ledger.record(run) if run in names else None
    if record is None:
        raise PlanError(f"--code {run}: no such run in {ledger.location}{nearest(run, names)}")
    target = expanded(folder)
    if target.exists():
        raise PlanError(f"--code {run} {folder}: the folder exists; name a new one")
    copy = fetch_code(ledger.store, _hash_of([record]))
    shutil.copytree(copy, target, ignore=shutil.ignore_patterns("__pycache__"))
    print(f"the code of {run} ({_of(record)}) is in {target}")


def run_by_its_own_code(ledger: Ledger, runs: Sequence[PlannedRun], options: Options, argv: Sequence[str]) -> NoReturn:
    """Become the command that runs the `runs` again by the code that has made them. Raises PlanError, in a line."""
    records = [record for run in runs if (record := ledger.record(run.name))]
    if not records:
        raise PlanError("--with-its-own-code: none of the runs of --redo has a result")
    copy = fetch_code(ledger.store, _hash_of(records))
    words = without(argv, {"--with-its-own-code": 0, "--redo": 1, "--only": 1, "--seeds": 1, "--space": 1})
    names = ",".join(dict.fromkeys(run.experiment.name for run in runs))
    words += [
        "--only",
        names,
        "--redo",
        names,
        "--seeds",
        ",".join(map(str, sorted({run.config.seed for run in runs}))),
    ]
    if options.space:
        words += ["--space", str(copy / SPACE / Path(options.space).name)]
    print(f"by the code of {records[0]['run']} ({_of(records[0])}):", flush=True)
    path = os.pathsep.join(filter(None, [str(copy), os.environ.get("PYTHONPATH")]))
    os.execve(sys.executable, [sys.executable, str(copy / "run_sweep.py"), *words], {**os.environ, "PYTHONPATH": path})


def _hash_of(records: Sequence[Record]) -> str:
    """The hash of the code that has made runs. Raises PlanError for several, and for code of which no copy was kept."""
    found = {str(_provenance(record).get("code") or ""): record["run"] for record in records}
    if "" in found:
        raise PlanError(f"the code of {found['']} was not kept: the run is older than that, or was not made by a sweep")
    if len(found) > 1:
        told = ", ".join(f"{run} by {code}" for code, run in found.items())
        raise PlanError(f"the runs were made by different code ({told}); name those of one")
    return next(iter(found))


def _of(record: Record) -> str:
    revision = _provenance(record).get("revision")
    return f"{_provenance(record)['code']}{f', git {revision}' if revision else ''}"


def _provenance(record: Record) -> Record:
    return record.get("provenance") or {}
