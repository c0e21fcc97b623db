"""Opens results, in a folder or in an object store."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from raysweep.ledger.declarations import FAMILIES
from raysweep.ledger.inbox import INBOX
from raysweep.ledger.local_folder import LocalFolder
from raysweep.ledger.plan import PLAN, QUESTIONS
from raysweep.ledger.reading import UnreadableError, names_in
from raysweep.ledger.record_files import RecordFiles
from raysweep.ledger.records import Ledger
from raysweep.ledger.rounds import rounds_of
from raysweep.ledger.store import LedgerError

if TYPE_CHECKING:
    import pandas as pd


def open_ledger(location: str | os.PathLike[str], copy: str | os.PathLike[str] | None = None) -> Ledger:
    """The ledger of a folder, or of a URL such as s3://bucket/folder, which this machine copies to the folder `copy`.

    Raises LedgerError for a kind of URL that is not supported here, for a blank path, and for one below the home of a
    user whom this machine does not know.
    """
    path = str(location).removeprefix("file://")
    if not path.strip():
        raise LedgerError(f"the results folder {str(location)!r} names nothing")
    if "://" not in path:
        return Ledger(LocalFolder(path))
    from raysweep.ledger.object_store import ObjectStore

    return Ledger(ObjectStore(str(location), copy))


@contextlib.contextmanager
def open_to_watch(location: str | os.PathLike[str]) -> Iterator[Ledger]:
    """Yield a ledger for watching a sweep. For a URL it has a copy of its own, which no other process changes."""
    with tempfile.TemporaryDirectory() as copy:
        yield open_ledger(location, copy)


def require_readable(ledger: Ledger) -> None:
    """Check, before anything is changed, that all can be read which says what was done and is to be done.

    Raises UnreadableError, and LedgerError where a store does not answer.
    """
    files = RecordFiles()
    try:
        ledger.store.fetch("records/")
        for _ in files.contents(ledger.folder / "records"):
            pass
        if files.unreadable:
            raise UnreadableError(files.unreadable)
        for name in ("lock", PLAN, QUESTIONS, FAMILIES):
            ledger.store.get(name)
        rounds_of(ledger.store, "")
        names_in(ledger.folder / INBOX)
    except UnreadableError:
        raise
    except OSError as error:
        raise LedgerError(str(error)) from None


def load_results(folder: str | os.PathLike[str] = "results", *, failed: bool = False) -> "pd.DataFrame":
    """One row for each finished run of a results folder (of failed ones too with `failed`), accuracies in percent.

    Columns: run, key, experiment, group, dataset, seed, status, error, every field of the configuration, every result,
    and provenance. Data that were prepared beforehand are named as what they are, `imagenet (short side 400, quality
    95)`. Per-epoch curves are in the column `curves`. Raises FileNotFoundError for a folder without records, and warns
    of records that cannot be read.
    """
    ledger = open_ledger(folder)
    if not ledger.has_records():
        raise FileNotFoundError(f"{ledger.location} holds no results of a sweep")
    frame = ledger.frame(failed=failed, records=ledger.readable_records())
    if ledger.files.unreadable:
        warnings.warn(f"left out: {UnreadableError(ledger.files.unreadable)}", stacklevel=2)
    return frame
