"""Lists the names of all files below a folder once, and keeps them in the user's cache folder.

A stored index is used again as long as each directory has the modification time that it had when it was listed. That
takes one `stat` for each directory in place of a listing of a million names. A folder whose index is damaged or out of
date is listed again.
"""

import contextlib
import errno
import hashlib
import json
import os
import time
from pathlib import Path

from trainables.data.cache import index_folder, publish
from trainables.data.entries import is_left_out

Directory = tuple[str, int, list[str], int]
"""Path relative to the folder ("" for itself), modification time in ns, the sorted names of the files in it, and how
many entries are left out (see `trainables.data.entries`)."""

SETTLED_NS = 2_000_000_000
"""A directory that changed fewer nanoseconds before it was listed may change again without another time stamp, so its
index is not stored."""


def listing(folder: Path) -> list[Directory]:
    """All directories below `folder`, itself included, sorted by path. Symbolic links are followed.

    Raises OSError for a directory that cannot be read, and for a link to one that holds it.
    """
    root = os.path.abspath(folder)
    home = index_folder()
    store = home / f"index-{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json" if home else None
    stored = _stored(store, root) if store else None
    if stored is not None:
        return stored
    started = time.time_ns()
    directories = _scan(root)
    if store and all(mtime < started - SETTLED_NS for _, mtime, *_ in directories):
        with contextlib.suppress(OSError):
            publish(store, lambda stream: stream.write(_to_bytes(directories)))
    return directories


def _scan(root: str) -> list[Directory]:
    """List all directories below `root`."""
    directories = []
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        relative, above = pending.pop()
        path = os.path.join(root, relative) if relative else root
        status = os.stat(path)  # read before the listing, so that a later change differs from it
        identity = status.st_dev, status.st_ino
        if identity in above:
            raise OSError(errno.ELOOP, "it is a link to a folder that holds it", path)
        names, left_out, above = [], 0, above | {identity}
        with os.scandir(path) as entries:
            for entry in entries:
                if is_left_out(entry.name):
                    left_out += 1
                elif entry.is_dir():
                    pending.append((os.path.join(relative, entry.name), above))
                else:
                    names.append(entry.name)
        directories.append((relative, status.st_mtime_ns, sorted(names), left_out))
    return sorted(directories)


def _stored(store: Path, root: str) -> list[Directory] | None:
    """The content of a stored index; None where it is missing, damaged or out of date."""
    try:
        checksum, _, body = store.read_bytes().partition(b"\n")
        if checksum.decode() != hashlib.sha256(body).hexdigest():
            return None
        directories = [(relative, mtime, names, left_out) for relative, mtime, names, left_out in json.loads(body)]
        for relative, mtime, *_ in directories:
            if os.stat(os.path.join(root, relative) if relative else root).st_mtime_ns != mtime:
                return None
    except (OSError, ValueError, TypeError):
        return None
    return directories


def _to_bytes(directories: list[Directory]) -> bytes:
    body = json.dumps(directories, separators=(",", ":")).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body
