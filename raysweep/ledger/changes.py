"""Tells when that of a results folder was last changed which a report is made of."""

import contextlib
from pathlib import Path

NOT_REPORTED = ("status.json", "looks.jsonl")
"""Documents that change while nothing is to be reported anew."""


def last_change(folder: Path) -> int:
    """When a record came or went, or a document such as plan.json was replaced, in nanoseconds since 1970; 0 if never.

    Records are written by giving a file its name, so the time of their folder tells of all of them.
    """
    times = [0]
    with contextlib.suppress(OSError):
        times.append((folder / "records").stat().st_mtime_ns)
    with contextlib.suppress(OSError):
        documents = [file for file in folder.iterdir() if file.suffix in (".json", ".jsonl")]
        for file in documents:
            if file.name not in NOT_REPORTED and not file.name.startswith("."):
                with contextlib.suppress(OSError):
                    times.append(file.stat().st_mtime_ns)
    return max(times)
