"""Tables of images in parquet files, as Hugging Face has them: a column of encoded images, and one of labels. No torch.

The images are binary, or structs with a binary field `bytes`. What is cheap to read (types of columns, labels, numbers
of rows) is checked by `labels`, before anything starts. Whatever is wrong is a DataError that names file and column.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainables.data.info import DataError
from trainables.messages import first_line

IMAGE_COLUMNS = ("img", "image")
"""Names that the column of images may have."""
COLUMNS_NAMED = 20
"""How many columns a message names at most."""


def has_column(file: Path, name: str) -> bool:
    """Whether the table has a column of this name. Raises DataError for an unreadable file."""
    with _opened(file) as table:
        return name in table.schema_arrow.names


def labels(file: Path, column: str, num_classes: int) -> np.ndarray:
    """The labels of all images, int64 [N], each in 0 .. num_classes - 1, of a table whose images can be read.

    Raises DataError for an unreadable file, for columns that are missing or of other types, and for other labels.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror})") from None
    return _labels(file, column, num_classes, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _labels(file: Path, column: str, num_classes: int, size: int, mtime_ns: int) -> np.ndarray:
    """Cached since a plan asks for each run; `size` and `mtime_ns` are those of the file."""
    with _opened(file) as table:
        _image_column(table, file, column)
        values = table.read(columns=[column]).column(column)
    where = f"{file}: column {column}"
    if values.null_count:
        row = values.is_null().to_pylist().index(True)
        raise DataError(f"{where} has no label in {values.null_count:,} of {len(values):,} rows, first in row {row}")
    try:
        found: np.ndarray = values.cast(pa.int64()).to_numpy()
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{where} holds {values.type}, not numbers of classes ({first_line(error)})") from None
    wrong = np.flatnonzero((found < 0) | (found >= num_classes))
    if len(wrong):
        raise DataError(
            f"{where} holds {found[wrong[0]]} in row {wrong[0]}; {len(wrong):,} of {len(found):,} labels are none of 0 "
            f"to {num_classes - 1}"
        )
    return found


def encoded_images(file: Path, label: str) -> Iterator[bytes]:
    """Yield the images as they are encoded; b"" for a row without one. Raises DataError as `labels` does."""
    with _opened(file) as table:
        column = _image_column(table, file, label)
        for batch in table.iter_batches(batch_size=1024, columns=[column]):
            images = batch.column(0)
            if pa.types.is_struct(images.type):
                images = pc.struct_field(images, "bytes")
            for image in images:
                yield image.as_py() or b""


def _image_column(table: pq.ParquetFile, file: Path, label: str) -> str:
    """The name of the column of images. Raises DataError without it, without labels, and for what holds no bytes."""
    schema = table.schema_arrow
    column = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
    if column is None or label not in schema.names:
        names = ", ".join(schema.names[:COLUMNS_NAMED]) + ", ..." * (len(schema.names) > COLUMNS_NAMED)
        raise DataError(f"{file} has the columns {names}; expected img and {label}")
    kind = schema.field(column).type
    content = kind
    if pa.types.is_struct(kind):
        content = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else None
    if not _is_binary(content):
        raise DataError(
            f"{file}: column {column} holds {kind}; expected encoded images (binary, or a struct with a binary bytes)"
        )
    return column


def _is_binary(kind: Any) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return kind is not None and any(test(kind) for test in tests)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """The file, opened by Python since its name may be no text. What pyarrow raises within is a DataError."""
    try:
        with file.open("rb") as stream, pq.ParquetFile(stream) as table:
            yield table
    except DataError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{file} is not a readable parquet file ({reason})") from None
