"""Lists the names of all files below a folder once, and keeps them in the user's cache folder.

A stored index is used again as long as each directory has the modification time that it had when it was listed. That
takes one `stat` for each directory in place of a listing of a million names. A folder whose index is damaged or out of
date is listed again.
"""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from trainables.data.cache import index_folder, publish

Directory = tuple[str, int, list[str]]
"""Path relative to the folder ("" for itself), modification time in ns, and the sorted names of the files in it."""

SETTLED_NS = 2_000_000_000
"""A directory that changed fewer nanoseconds before it was listed may change again without another time stamp, so its
index is not stored."""


def listing(folder: Path) -> list[Directory]:
    """All directories below `folder`, itself included, sorted by path. Symbolic links are followed."""
    root = os.path.abspath(folder)
    home = index_folder()
    store = home / f"index-{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json" if home else None
    stored = _stored(store, root) if store else None
    if stored is not None:
        return stored
    started = time.time_ns()
    directories = _scan(root)
    if store and all(mtime < started - SETTLED_NS for _, mtime, _ in directories):
        with contextlib.suppress(OSError):
            publish(store, lambda stream: stream.write(_to_bytes(directories)))
    return directories


def _scan(root: str) -> list[Directory]:
    """List all directories below `root`."""
    directories = []
    pending = [""]
    while pending:
        relative = pending.pop()
        path = os.path.join(root, relative) if relative else root
        mtime = os.stat(path).st_mtime_ns  # read before the listing, so that a later change differs from it
        names = []
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir():
                    pending.append(os.path.join(relative, entry.name))
                else:
                    names.append(entry.name)
        directories.append((relative, mtime, sorted(names)))
    return sorted(directories)


def _stored(store: Path, root: str) -> list[Directory] | None:
    """The content of a stored index; None where it is missing, damaged or out of date."""
    try:
        checksum, _, body = store.read_bytes().partition(b"\n")
        if checksum.decode() != hashlib.sha256(body).hexdigest():
            return None
        directories = [(relative, mtime, names) for relative, mtime, names in json.loads(body)]
        for relative, mtime, _ in directories:
            if os.stat(os.path.join(root, relative) if relative else root).st_mtime_ns != mtime:
                return None
    except (OSError, ValueError):
        return None
    return directories


def _to_bytes(directories: list[Directory]) -> bytes:
    body = json.dumps(directories, separators=(",", ":")).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body
