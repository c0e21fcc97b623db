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


def index_folder() -> Path:
    """The folder RAYSWEEP_CACHE, else raysweep/ in the user's cache folder.

    Raises RuntimeError for a user without a home.
    """
    if chosen := os.environ.get("RAYSWEEP_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "raysweep"


def shared_memory_folders() -> Iterator[Path]:
    """Yield the folder RAYSWEEP_CACHE, else raysweep-<user id>/ in /dev/shm and in the temporary folder.

    The latter are made if need be, and left out where somebody else has access to them.
    """
    chosen = os.environ.get("RAYSWEEP_CACHE")
    own = f"raysweep-{os.getuid()}"
    for folder in [Path(chosen)] if chosen else [Path("/dev/shm", own), Path(tempfile.gettempdir(), own)]:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.lstat()
            if chosen or (status.st_uid == os.getuid() and not status.st_mode & 0o077):
                yield folder


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
