"""Reads files and folders of results, and tells what is not there from what cannot be read.

A file that cannot be read (it belongs to another user, its disk or server fails, too many files are open) may be sound.
So nobody may take it for missing or damaged, and do again what it stands for.
"""

import contextlib
import importlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EMPTY_LINK = "it is a link to nothing"


class UnreadableError(OSError):
    """Files of results that cannot be read, whatever they hold; the message is one line, which names the first."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        """`reasons` says of each file, by its path or URL, why it cannot be read."""
        first, more = next(iter(reasons)), len(reasons) - 1
        others = f", nor {more} other file{'s' * (more > 1)} of these results" if more else ""
        super().__init__(f"cannot read {first} ({reasons[first]}){others}")
        self.reasons = dict(reasons)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reasons,)


def unreadable(path: Path, error: OSError) -> UnreadableError:
    """The error to raise where the system does not let us read a file or folder."""
    return UnreadableError({str(path): reason(path, error)})


def reason(path: Path, error: OSError) -> str:
    """Why a file or folder cannot be read; where the right is lacking, also whose it is."""
    said = error.strerror or str(error) or type(error).__name__
    if isinstance(error, PermissionError):
        with contextlib.suppress(OSError):  # the file itself is out of sight
            status = path.stat()
            return f"{said}: {_name_of(status.st_uid)} owns it, mode {status.st_mode & 0o7777:o}"
    return said


def read_file(path: Path) -> bytes | None:
    """The content of a file, or None where there is no such file. Raises UnreadableError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        _require_absent(path, error)
        return None


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where there is no such folder. Raises UnreadableError if it is not shown."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        _require_absent(folder, error)
        return []


def exists(path: Path) -> bool:
    """Whether there is such a file or folder. Raises UnreadableError where that cannot be found out."""
    try:
        path.stat()
    except OSError as error:
        _require_absent(path, error)
        return False
    return True


def require_opens(path: Path, how: int) -> None:
    """Raises UnreadableError for a file that is there, and does not open so or has a first byte that is not read."""
    try:
        file = os.open(path, how | os.O_NONBLOCK)
        try:
            if not stat.S_ISDIR(os.fstat(file).st_mode):
                os.read(file, 1)
        finally:
            os.close(file)
    except OSError as error:
        _require_absent(path, error)


def _name_of(uid: int) -> str:
    with contextlib.suppress(ImportError, KeyError):  # not Unix; a user that this machine does not know
        return str(importlib.import_module("pwd").getpwuid(uid).pw_name)
    return f"user {uid}"


def _require_absent(path: Path, error: OSError) -> None:
    """Raises UnreadableError, unless an error in reading says that there is no such file or folder."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise unreadable(path, error) from None
    if path.is_symlink():
        raise UnreadableError({str(path): EMPTY_LINK}) from None
    if isinstance(error, NotADirectoryError) and os.path.lexists(path):
        raise unreadable(path, error) from None
