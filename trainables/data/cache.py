"""The folders of what is made once and used again: indices of files on disk, decoded images in shared memory.

Both are made again when they are missing, damaged or out of date, and may be deleted at any time. The environment
variable RAYSWEEP_CACHE names one folder for both.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


def index_folder() -> Path | None:
    """The folder RAYSWEEP_CACHE, else raysweep/ in the user's cache folder.

    For a user without a home, and where nothing can be written there, raysweep-<user id>/ in the temporary folder, or
    None if somebody else has access to that.
    """
    if chosen := os.environ.get("RAYSWEEP_CACHE"):
        return Path(chosen)
    with contextlib.suppress(RuntimeError):  # a user without a home
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "raysweep"
        if _can_write_below(folder):
            return folder
    return _made(Path(tempfile.gettempdir(), _own_name()))


def shared_memory_folders() -> Iterator[Path]:
    """Yield the folder RAYSWEEP_CACHE, else raysweep-<user id>/ in /dev/shm and in the temporary folder.

    The latter are made if need be, and left out where somebody else has access to them.
    """
    if chosen := os.environ.get("RAYSWEEP_CACHE"):
        with contextlib.suppress(OSError):
            Path(chosen).mkdir(mode=0o700, parents=True, exist_ok=True)
            yield Path(chosen)
        return
    for folder in ("/dev/shm", tempfile.gettempdir()):
        if own := _made(Path(folder, _own_name())):
            yield own


def _own_name() -> str:
    return f"raysweep-{os.getuid()}"


def _made(folder: Path) -> Path | None:
    """The folder, which is made if need be; None where that fails, and where somebody else has access to it."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    return folder if status.st_uid == os.getuid() and not status.st_mode & 0o077 else None


def _can_write_below(folder: Path) -> bool:
    """Whether this process may write into a folder, or make it where it does not exist."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def publish(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a file, mode 0600, that appears as `path` when it is whole; the last of several writers wins.

    Unlike `write_atomically` it takes several writers, and does not wait for the disk. Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as stream:
            write(stream)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
