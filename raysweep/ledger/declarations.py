"""RESULTS/families.json: what the families whose runs lie there say of their results (see `Declaration`)."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from raysweep.experiment import Declaration
from raysweep.ledger.documents import damage_of, read_document, write_document
from raysweep.ledger.plain import from_plain
from raysweep.ledger.record_files import Record
from raysweep.ledger.records import Ledger
from raysweep.ledger.store import LedgerError

FAMILIES = "families.json"


def write_declarations(ledger: Ledger, declared: Iterable[Declaration]) -> None:
    """Add declarations to those of earlier sweeps; of a family, the later one stays."""
    try:
        known = {entry.get("name"): entry for entry in read_declarations(ledger)}
    except LedgerError:
        known = {}  # damaged; those of this sweep take its place
    known |= {declaration.name: asdict(declaration) for declaration in declared}
    write_document(ledger.store, FAMILIES, list(known.values()))


def read_declarations(ledger: Ledger) -> list[Record]:
    """The entries of families.json, none where there is no such file. Raises LedgerError where it is damaged."""
    try:
        entries = read_document(ledger.store, FAMILIES)
    except FileNotFoundError:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise damage_of(ledger.store, FAMILIES)
    return entries


def read_declaration(content: Mapping[str, Any]) -> Declaration:
    """An entry of families.json. Raises ValueError, in one line, for one that is none."""
    try:
        return from_plain(Declaration, content)
    except ValueError as error:
        raise ValueError(f"family {str(content.get('name'))[:60]!r} {error}") from None
