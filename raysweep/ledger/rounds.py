"""The rounds of sweeps that go on until their questions are answered: RESULTS/rounds.jsonl, a line of JSON for each.

A round is written down before the first of its runs starts, so that a sweep that was killed goes on with it as it was
chosen. A line that a crash has left unfinished is no round: nothing of it had started. Rounds say of which plan they
are, since several commands may use one results folder. That --redo has forgotten results is a line, too: the rounds of
that plan before it no longer count.
"""

import datetime
from collections.abc import Sequence
from typing import Any

from raysweep.experiment import Chosen
from raysweep.ledger.journal import add_entry, entries
from raysweep.ledger.store import Store

ROUNDS = "rounds.jsonl"


def append_round(store: Store, plan: str, number: int, chosen: Sequence[Chosen]) -> None:
    """Write down a round of a plan, whose rounds are counted from 1."""
    runs = [{"experiment": one.experiment, "seed": one.seed, "why": one.why} for one in chosen]
    _append(store, {"plan": plan, "round": number, "runs": runs})


def forget_rounds(store: Store, plan: str) -> None:
    """Let the rounds of a plan count no longer."""
    if rounds_of(store, plan):
        _append(store, {"plan": plan, "forgotten": True})


def rounds_of(store: Store, plan: str) -> list[list[Chosen]]:
    """The runs of each round of a plan, in order. Raises UnreadableError where they cannot be read."""
    found: list[list[Chosen]] = []
    for entry in entries(store, ROUNDS):
        if entry.get("plan") != plan:
            continue
        if entry.get("forgotten"):
            found.clear()
        elif (chosen := _chosen(entry.get("runs"))) is not None:
            found.append(chosen)
    return found


def _append(store: Store, entry: dict[str, Any]) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    add_entry(store, ROUNDS, {**entry, "time": now})


def _chosen(runs: object) -> list[Chosen] | None:
    """The runs of a round; None where an entry is none."""
    if not isinstance(runs, list):
        return None
    try:
        return [Chosen(experiment=str(r["experiment"]), seed=int(r["seed"]), why=str(r["why"])) for r in runs]
    except (KeyError, TypeError, ValueError):
        return None
