"""The durable record of a sweep: what ran, how it ended, and what it was to answer."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.ledger.durable import write_bytes, write_json
    from raysweep.ledger.inbox import hold_or_offer, take_commands
    from raysweep.ledger.opening import load_results, open_ledger
    from raysweep.ledger.records import (
        DAMAGED,
        DIVERGED,
        FAILED,
        FINISHED,
        SETTLED,
        STOPPED,
        Ledger,
        LedgerError,
        Record,
        run_key,
        this_process,
        uninterrupted_seconds,
    )

__getattr__, __all__ = exporting(
    __name__,
    {
        "durable": ("write_bytes", "write_json"),
        "inbox": ("hold_or_offer", "take_commands"),
        "opening": ("load_results", "open_ledger"),
        "records": (
            "DAMAGED",
            "DIVERGED",
            "FAILED",
            "FINISHED",
            "Ledger",
            "LedgerError",
            "Record",
            "SETTLED",
            "STOPPED",
            "run_key",
            "this_process",
            "uninterrupted_seconds",
        ),
    },
)
