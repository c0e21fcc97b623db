"""Writes and reads the JSON documents of a results folder, such as plan.json, each as a whole."""

import json
from typing import Any

from raysweep.ledger import durable
from raysweep.ledger.store import LedgerError, Store


def write_document(store: Store, name: str, content: object) -> None:
    """Replace a document."""
    store.put(name, durable.as_json(content))


def read_document(store: Store, name: str) -> Any:
    """The content of a document. Raises FileNotFoundError if there is none, and LedgerError if it is not JSON."""
    content = store.get(name)
    if content is None:
        raise FileNotFoundError(f"{store.location}/{name}")
    try:
        return json.loads(content)
    except ValueError:
        raise damage_of(store, name) from None


def damage_of(store: Store, name: str) -> LedgerError:
    """The error to raise for a document whose content is not as it should be."""
    return LedgerError(
        f"{store.location}/{name} is damaged; restore a copy of it, or remove it and run the sweep again"
    )
