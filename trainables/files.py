"""Writes files so that a reader finds the old content or the new one, never a part of either.

What is made in a setgid folder, which a group shares, gets the folder's group and the group's rights there, whatever
the umask, so that others of the group can go on with a run.
"""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a temporary file beside `path`, bring it to disk, and rename it to `path`."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp")  # a path has one writer
    try:
        temporary.unlink(missing_ok=True)  # a killed writer, perhaps another user's, may have left it
        with temporary.open("wb") as stream:
            open_to_group(temporary)
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folder(path: Path) -> None:
    """Make a folder and those above it."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        open_to_group(path)


def open_to_group(path: Path) -> None:
    """Give a file or folder of one's own the group, and the group's rights, of the setgid folder that it lies in."""
    around, its = path.parent.stat(), path.stat()
    if not around.st_mode & stat.S_ISGID or its.st_uid != os.geteuid():
        return
    is_folder = stat.S_ISDIR(its.st_mode)
    rights = around.st_mode & stat.S_IRWXG & ~(0 if is_folder else stat.S_IXGRP) | (stat.S_ISGID if is_folder else 0)
    with contextlib.suppress(OSError):  # a file system that has no modes, or a group that one does not belong to
        if its.st_gid != around.st_gid:
            os.chown(path, -1, around.st_gid)
        if its.st_mode & rights != rights:
            path.chmod(stat.S_IMODE(its.st_mode) | rights)


def require_readable(file: Path, error: Exception) -> None:
    """Raises OSError where an error in reading a file does not say that the file is damaged.

    A library may hide what the system says: torch raises RuntimeError where it is not given memory, or another file.
    """
    if isinstance(error, RuntimeError) and str(error).startswith("unable to "):
        raise OSError(f"{file}: {str(error).splitlines()[0]}") from error
    with file.open("rb") as stream:
        while stream.read(1 << 24):
            pass
