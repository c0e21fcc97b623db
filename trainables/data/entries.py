"""Which entries of a folder count as data: all but those that begin with a dot and `__MACOSX`.

The first are of notebooks (.ipynb_checkpoints), of macOS (.DS_Store, and ._0.jpg beside each 0.jpg) and of file servers
(.snapshot); the second is what macOS puts into archives.
"""

import os
from collections.abc import Iterator
from pathlib import Path


def is_left_out(name: str) -> bool:
    """Whether an entry of this name is no data."""
    return name.startswith(".") or name == "__MACOSX"


def walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder below `root`, itself included, with the sorted names of the folders and of the files in it.

    Links are followed, each folder comes once, and no folder comes that is left out. A folder that we may not look into
    (as lost+found) counts as empty. Raises OSError for any other that cannot be read.
    """
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_raise_unless_forbidden):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not is_left_out(name))
        if real not in seen:
            seen.add(real)
            yield Path(folder), list(folders), sorted(files)


def _raise_unless_forbidden(error: OSError) -> None:
    if not isinstance(error, PermissionError):
        raise error
