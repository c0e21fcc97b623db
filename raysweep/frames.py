"""Records as a table: one row for each, one column for each field, result and item of provenance."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("config", "results", "provenance")
"""Of a record, what becomes columns of its own."""


def of_records(records: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """One row for each record; without any, the columns that every table has."""
    import pandas as pd

    rows = [_row(record) for record in records]
    return pd.DataFrame(rows, columns=None if rows else ["run", "experiment", "group", "dataset", "seed", "status"])


def to_parquet(frame: "pd.DataFrame") -> bytes:
    """The same bytes for the same table. Curves are JSON, and so are columns whose values are of several types."""
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
    return row


def _plain(values: list[Any]) -> list[Any]:
    """Values of one type that a column can have, as they are; others as JSON."""
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    types = {type(value) for value in values if value is not None}
    if len(types) <= 1 and not types & {dict, list}:
        return values
    return [None if value is None else json.dumps(value, sort_keys=True) for value in values]
