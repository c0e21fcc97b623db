"""Makes a table of records, with a row for each and a column for each field, result and item of provenance."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from raysweep.ledger.record_files import data_set_of
from raysweep.messages import as_text

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("config", "results", "provenance", "facts")
"""The parts of a record whose entries become columns of their own."""


def of_records(records: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """A table with a row for each record, whose `dataset` is called as `data_set_of` does. `attrs["config"]` names the
    columns that are fields of configurations.

    Without records the table has no rows, but the columns that every table has."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    fields: set[str] = set()
    for record in records:
        rows.append(_row(record))
        fields.update(record.get("config") or ())
    frame = pd.DataFrame(rows, columns=None if rows else ["run", "experiment", "group", "dataset", "seed", "status"])
    if frame["seed"].isna().any():  # an imported run without one must not turn the others into fractions
        frame["seed"] = frame["seed"].astype("Int64")
    frame.attrs["config"] = sorted(fields)
    return frame


def to_parquet(frame: "pd.DataFrame") -> bytes:
    """Equal bytes for equal tables. Curves become JSON, and so do columns whose values have several types."""
    import pyarrow
    import pyarrow.parquet

    columns = {name: _plain(frame[name].tolist()) for name in sorted(map(str, frame))}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: value for name, value in record.items() if name not in PARTS}
    for part in PARTS:
        values: Mapping[str, Any] = record.get(part) or {}
        row |= {name: value for name, value in values.items() if name not in row or part == "results"}
    if row.get("prepared"):
        row["dataset"] = data_set_of(record)
    return {name: as_text(value) if isinstance(value, str) else value for name, value in row.items()}


def _plain(values: list[Any]) -> list[Any]:
    """The values unchanged if they share a type that a column can have, and as JSON otherwise.

    Whole numbers of more than 64 bits are no such type.
    """
    import pandas as pd

    values = [None if value is pd.NA or (isinstance(value, float) and math.isnan(value)) else value for value in values]
    types = {type(value) for value in values if value is not None}
    too_large = any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in values)
    if len(types) <= 1 and not types & {dict, list} and not too_large:
        return values
    return [None if value is None else json.dumps(value, sort_keys=True) for value in values]
