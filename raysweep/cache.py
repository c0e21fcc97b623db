"""Where this machine keeps what it can make again."""

import functools
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """RAYSWEEP_CACHE, else raysweep/ in the user's cache folder, as what `trainables` keeps.

    For a user without a home, and where nothing can be written there, a folder of the user's own below the temporary
    folder.
    """
    if chosen := os.environ.get("RAYSWEEP_CACHE"):
        return Path(chosen)
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "raysweep"
    except RuntimeError:  # a user without a home
        return _temporary_folder()
    return folder if can_write_below(folder) else _temporary_folder()


def can_write_below(folder: Path) -> bool:
    """Whether this process may write into a folder, or make it where it does not exist."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


@functools.cache
def _temporary_folder() -> Path:
    """raysweep-<user id>/ below the temporary folder, or a new one where another user has made or can enter that."""
    folder = Path(tempfile.gettempdir(), f"raysweep-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o077:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="raysweep-"))
