"""Reads the arrays of an npz file, without ever unpickling anything."""

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def arrays_of(content: bytes, where: str, error: type[ValueError]) -> "dict[str, NDArray[Any]]":
    """The arrays of an npz file. Raises `error`, in one line that names `where`, for a damaged one."""
    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        KeyError,
        OSError,
        TypeError,
        NotImplementedError,
    ) as found:
        raise error(f"{where} is damaged ({type(found).__name__})") from None
