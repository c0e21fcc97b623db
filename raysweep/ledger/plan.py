"""What a sweep set out to run, and why: RESULTS/plan.json and RESULTS/questions.json."""

import datetime
from collections.abc import Sequence
from typing import Any

from raysweep.experiment import Question
from raysweep.ledger.documents import damage_of, read_document, write_document
from raysweep.ledger.questions import write_down
from raysweep.ledger.record_files import Record
from raysweep.ledger.records import FINISHED, Ledger
from raysweep.ledger.store import LedgerError, Store

PLAN, QUESTIONS = "plan.json", "questions.json"


def write_plan(ledger: Ledger, plan: list[Record], questions: Sequence[Question], *, joining: bool = False) -> None:
    """Record what a sweep sets out to run; its questions join those of earlier sweeps.

    With `joining`, its runs join the plan that is there.
    """
    if joining:
        names = {run["run"] for run in plan}
        plan = [*(run for run in read_plan(ledger) if run["run"] not in names), *plan]
    write_document(ledger.store, PLAN, plan)
    try:
        earlier = read_questions(ledger)
    except LedgerError:
        earlier = []  # damaged; those of this sweep take its place
    finished = (record for record in ledger.records() if record["status"] == FINISHED)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_document(ledger.store, QUESTIONS, write_down(questions, earlier, finished, now))


def read_plan(ledger: Ledger) -> list[Record]:
    """The runs that the last sweep set out to run. Raises LedgerError where the plan is damaged."""
    plan: list[Record] = _read(ledger.store, PLAN)
    return plan


def read_questions(ledger: Ledger) -> list[Record]:
    """The entries of questions.json (see `read_question`). Raises LedgerError where they are damaged."""
    questions = _read(ledger.store, QUESTIONS)
    if not isinstance(questions, list) or not all(isinstance(question, dict) for question in questions):
        raise damage_of(ledger.store, QUESTIONS)
    return questions


def _read(store: Store, name: str) -> Any:
    """What a document holds; [] where no sweep has written it."""
    try:
        return read_document(store, name)
    except FileNotFoundError:
        return []
