"""The durable record of a sweep: what ran, how it ended, and what it was to answer."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.ledger.changes import last_change
    from raysweep.ledger.code import SPACE, Code, fetch_code, hash_of_code, keep_code
    from raysweep.ledger.declarations import read_declaration, read_declarations, write_declarations
    from raysweep.ledger.documents import damage_of, read_document
    from raysweep.ledger.durable import make_folder, write_json
    from raysweep.ledger.filters import FiltersError, read_filters
    from raysweep.ledger.inbox import Offer, answer, hold_or_offer, offers
    from raysweep.ledger.journal import add_entry, entries
    from raysweep.ledger.opening import load_results, open_ledger, open_to_watch, require_readable
    from raysweep.ledger.plan import read_plan, read_questions, write_plan
    from raysweep.ledger.predictions import (
        Predictions,
        PredictionsError,
        keep_predictions,
        read_labels,
        read_predictions,
    )
    from raysweep.ledger.questions import WrittenQuestion, read_question
    from raysweep.ledger.reading import UnreadableError
    from raysweep.ledger.record_files import Record, data_set_of
    from raysweep.ledger.records import (
        DIVERGED,
        FAILED,
        FINISHED,
        SETTLED,
        STOPPED,
        Ledger,
        recorded_config,
        run_key,
        uninterrupted_seconds,
    )
    from raysweep.ledger.rounds import append_round, forget_rounds, rounds_of
    from raysweep.ledger.sharing import open_to_group
    from raysweep.ledger.store import LedgerError, this_process

__getattr__, __all__ = exporting(
    __name__,
    {
        "changes": ("last_change",),
        "code": ("SPACE", "Code", "fetch_code", "hash_of_code", "keep_code"),
        "declarations": ("read_declaration", "read_declarations", "write_declarations"),
        "documents": ("damage_of", "read_document"),
        "durable": ("make_folder", "write_json"),
        "filters": ("FiltersError", "read_filters"),
        "inbox": ("Offer", "answer", "hold_or_offer", "offers"),
        "journal": ("add_entry", "entries"),
        "opening": ("load_results", "open_ledger", "open_to_watch", "require_readable"),
        "plan": ("read_plan", "read_questions", "write_plan"),
        "questions": ("WrittenQuestion", "read_question"),
        "predictions": (
            "Predictions",
            "PredictionsError",
            "keep_predictions",
            "read_labels",
            "read_predictions",
        ),
        "reading": ("UnreadableError",),
        "record_files": ("Record", "data_set_of"),
        "records": (
            "DIVERGED",
            "FAILED",
            "FINISHED",
            "Ledger",
            "SETTLED",
            "STOPPED",
            "recorded_config",
            "run_key",
            "uninterrupted_seconds",
        ),
        "rounds": ("append_round", "forget_rounds", "rounds_of"),
        "sharing": ("open_to_group",),
        "store": ("LedgerError", "this_process"),
    },
)
