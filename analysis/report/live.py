"""Refreshes RESULTS/report.html, while a sweep runs and at its end: `python -m analysis.report.live RESULTS`.

Standard input holds the section of the page that shows what runs now, with the id `live`; it is empty where nothing
runs. Where no result has come since the page was written, only this section of it is replaced. The time of the page is
that of the last change of what it reports, so that one sees whether it is current.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from raysweep.ledger import Ledger, LedgerError, last_change, open_ledger

PAGE = "report.html"
SECTION = re.compile(rb'<section id="live".*?</section>\n?', re.DOTALL)
JUST_NOW = 2_000_000_000
"""Nanoseconds within which a further change may bear the same time, where a file system counts in seconds."""


def refresh(location: str, live: str = "") -> Path:
    """Write the report of a results folder into it. Returns the page.

    `live` is HTML: a section with the id `live`, or "". That somebody has looked at the answers is not noted.
    Raises LedgerError for an object store, where pages are no files, and FileNotFoundError where there is nothing yet.
    """
    ledger = open_ledger(location)
    if ledger.store.is_remote:
        raise LedgerError(f"{location} is no folder; `python -m analysis {location} --out DIR` leaves a report in one")
    page, changed = ledger.folder / PAGE, last_change(ledger.folder)
    may_change_unseen = time.time_ns() - changed < JUST_NOW
    if not _replace_section(ledger, page, changed, live.encode(errors="replace")):
        try:
            _write_page(ledger, live)
        except BaseException:  # the next refresh makes the pages of runs that lack
            if page.exists():
                os.utime(page, ns=(0, 0))
            raise
        os.utime(page, ns=(changed - may_change_unseen,) * 2)
    return page


def _replace_section(ledger: Ledger, page: Path, changed: int, live: bytes) -> bool:
    """Replace the live section of a page that reports all that has changed. Returns False if the page is to be written.

    The page keeps its time.
    """
    try:
        written = page.stat().st_mtime_ns
        before = page.read_bytes()
    except FileNotFoundError:
        return False
    if written < changed or (live and not SECTION.search(before)):
        return False
    after = SECTION.sub(lambda _: live, before, count=1)
    if after != before:
        ledger.store.put(PAGE, after)
        os.utime(page, ns=(written, written))
    return True


def _write_page(ledger: Ledger, live: str) -> None:
    """Make the whole page anew."""
    from analysis.reading.results import Results
    from analysis.report.page import write_page
    from analysis.verdicts.answers import verdicts
    from analysis.verdicts.looks import with_looks_so_far

    results = Results.read(ledger.location)
    write_page(results, with_looks_so_far(ledger, verdicts(results)), ledger.folder, live)


def main(argv: Sequence[str] | None = None) -> int:
    """Refresh the report of the results that the first argument names; exit code 1, and a line, where that fails."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that no temporary file is left
    (location,) = sys.argv[1:] if argv is None else argv
    live = "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode(errors="replace")
    try:
        refresh(location, live)
    except (LedgerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
