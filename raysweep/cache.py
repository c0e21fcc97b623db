"""Where this machine keeps what it can make again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """RAYSWEEP_CACHE, else raysweep/ in the user's cache folder, as what `trainables` keeps."""
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RAYSWEEP_CACHE") or users / "raysweep")
