"""JSON documents of a results folder that stand for themselves, as plan.json: written as a whole and read back."""

import json
from typing import Any

from raysweep.ledger import durable
from raysweep.ledger.store import LedgerError, Store


def write_document(store: Store, name: str, content: object) -> None:
    """Replace a document."""
    store.put(name, durable.as_json(content))


def read_document(store: Store, name: str) -> Any:
    """What a document holds. Raises FileNotFoundError where there is none, and LedgerError for one that is not JSON."""
    content = store.get(name)
    if content is None:
        raise FileNotFoundError(f"{store.location}/{name}")
    try:
        return json.loads(content)
    except ValueError:
        raise damage_of(store, name) from None


def damage_of(store: Store, name: str) -> LedgerError:
    """What to raise for a document that does not hold what it ought to."""
    return LedgerError(
        f"{store.location}/{name} is damaged; restore a copy of it, or remove it and run the sweep again"
    )
