"""Files to which entries are only added: a JSON object in each line."""

import json
from collections.abc import Mapping
from typing import Any

from raysweep.ledger.store import Store


def add_entry(store: Store, name: str, entry: Mapping[str, Any]) -> None:
    """Add an entry to the journal of this name, which is made if need be. It is on disk when this returns."""
    store.append(name, json.dumps(entry))


def entries(store: Store, name: str) -> list[dict[str, Any]]:
    """The entries of a journal in their order, without what a crash has left of one.

    Raises UnreadableError where there is a journal that cannot be read.
    """
    found = []
    for line in store.lines(name):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
