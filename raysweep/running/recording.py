"""Writes how a run ended into its record, from whichever process of a trial knows it."""

import contextlib
import datetime
import platform
import socket
import time
from collections.abc import Callable
from importlib.metadata import version

from raysweep.ledger import (
    FAILED,
    FINISHED,
    Code,
    Ledger,
    LedgerError,
    PredictionsError,
    Record,
    keep_predictions,
    open_ledger,
)
from raysweep.planning import PlannedRun
from raysweep.reports import PREDICTIONS, ResultReport
from raysweep.running.failures import MEMORY, Failure, remedies
from raysweep.running.spec import Attempt, TrialSpec


def ledger_of(spec: TrialSpec) -> Ledger:
    """The ledger that a trial records in."""
    return open_ledger(spec.results, spec.folder)


def unrecorded(spec: TrialSpec) -> list[PlannedRun]:
    """The runs of a trial that have neither finished nor failed in this trial."""
    ledger = ledger_of(spec)

    def ended(record: Record | None) -> bool:
        return record is not None and (record["status"] == FINISHED or record.get("trial") == spec.trial)

    return [run for run in spec.runs if not ended(ledger.record(run.name))]


def record_failure(
    spec: TrialSpec, attempt: Attempt, failure: Failure, started: float, restarts: int
) -> tuple[str, bool]:
    """Record that a run has failed. Returns a message for people, and whether recording succeeded."""
    cause = failure.cause
    if failure.kind == MEMORY:
        cause += f"; {remedies(attempt.run)}"
    status = failure.status or FAILED
    ending = {"status": status, "kind": failure.kind, "error": cause, "results": {}, "curves": {}}
    said = record_end(spec, attempt, ending, started, restarts)
    return said or f"{status}: {cause}", not said


def record_result(
    spec: TrialSpec, attempt: Attempt, report: ResultReport, started: float, restarts: int
) -> tuple[str | None, str]:
    """Record that a run has finished, with the predictions that it has left in its folder.

    Returns None, or a message for people if the record cannot be written; and what is to be said where the record could
    be written, but not the predictions.
    """
    run, ledger, beside = attempt.run, ledger_of(spec), ""
    results = report["results"]
    left = ledger.runs.folder(run.name) / PREDICTIONS

    def keep() -> Record:
        nonlocal beside
        try:
            images = keep_predictions(ledger.store, run.name, left, data=run.facts["data"], results=results)
        except (OSError, LedgerError, PredictionsError) as error:
            beside = f", but its predictions were not kept ({error})"
            return {}
        return {"predictions": images} if images else {}

    ending = {"status": FINISHED, "kind": "", "error": None, "results": results, "curves": report.get("curves", {})}
    said = record_end(spec, attempt, ending, started, restarts, keep)
    if not said and not beside:
        with contextlib.suppress(OSError):  # they are kept beside the record
            left.unlink(missing_ok=True)
    return said, beside


def record_end(
    spec: TrialSpec,
    attempt: Attempt,
    ending: Record,
    started: float,
    restarts: int,
    first: Callable[[], Record] = dict,
) -> str | None:
    """Write how a run ended, and `first` what belongs to the record (see `Ledger.write`).

    Returns None, or a message for people if that is impossible.
    """
    times = {"restarts": restarts, "started": _utc(started), "finished": _utc(time.time())}
    record = {**attempt.record(), **ending, **times, "trial": spec.trial, "provenance": _provenance(attempt.run.code)}
    try:
        ledger_of(spec).write(record, first)
    except (OSError, LedgerError) as error:
        return f"{ending['status']}; but its record could not be written ({error}), so it is unfinished"
    return None


def _utc(seconds: float) -> str:
    """A time as records write it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def _provenance(code: Code | None) -> dict[str, str | None]:
    """The code, the machine and the versions that computed the numbers."""
    versions = {f"{package}_version": version(package) for package in ("torch", "torchvision", "ray", "numpy")}
    host = {
        "hostname": socket.gethostname(),
        "machine": platform.machine(),
        "python_version": platform.python_version(),
    }
    return {**(code.provenance() if code else {}), **host, **versions}
