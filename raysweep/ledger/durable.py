"""Writes files that are whole or absent, whatever happens to the process or the machine, and that show any damage.

The content goes to a temporary file, which is flushed to disk and renamed; its folder is flushed, too.
So a reader finds the old content or the new, even after a crash. A sealed file carries a checksum of its content.
In a folder that a group shares, the group may read and write what is made (see `sharing`).
"""

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from raysweep.ledger.reading import read_file
from raysweep.ledger.sharing import is_shared, open_to_group


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # a killed process, perhaps of another user, may have left one
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            open_to_group(temporary, path.parent)
            _write_out(file, content)
        finally:
            os.close(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, content: object) -> None:
    """Replace a file's content by JSON."""
    write_bytes(path, as_json(content))


def as_json(content: object) -> bytes:
    """The bytes of a JSON file with this content."""
    return json.dumps(content, indent=1).encode()


def sealed(content: dict[str, Any]) -> bytes:
    """The bytes of a sealed file: a JSON object and its checksum."""
    plain = json.loads(json.dumps(content))  # as a reader will see it
    return as_json({**plain, "checksum": _checksum(plain)})


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The content of a sealed file, or None if it is missing, incomplete or not what was written.

    Raises UnreadableError where that cannot be found out.
    """
    return unsealed(read_file(path) or b"")


def unsealed(content: bytes) -> dict[str, Any] | None:
    """What the bytes of a sealed file say, or None if they are incomplete or not what was written."""
    try:
        said: dict[str, Any] = json.loads(content)
        checksum = said.pop("checksum")
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return said if checksum == _checksum(said) else None


def append_line(path: Path, line: str) -> int:
    """Add a line to a file. Returns how many lines it has then, counting one that a crash left unfinished."""
    make_file(path)
    file = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        content = path.read_bytes()
        unfinished = bool(content) and not content.endswith(b"\n")
        _write_out(file, b"\n" * unfinished + line.encode() + b"\n")
    finally:
        os.close(file)
    sync_folder(path.parent)
    return content.count(b"\n") + unfinished + 1


def make_folder(path: Path) -> None:
    """Make a folder and those above it, and flush their entries to disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    if is_shared(path.parent):  # no other user may find it closed
        temporary = _unused(path)
        temporary.mkdir()
        open_to_group(temporary, path.parent)
        try:
            temporary.rename(path)
        except OSError:
            temporary.rmdir()
            if not path.is_dir():  # else another process has made it meanwhile, and has put something into it
                raise
    else:
        path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def make_file(path: Path) -> None:
    """Make an empty file, and the folders above it, unless there is one of this name."""
    make_folder(path.parent)
    if is_shared(path.parent) and not os.path.lexists(path):  # no other user may find it closed
        temporary = _unused(path)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            open_to_group(temporary, path.parent)
            with contextlib.suppress(OSError):  # another process was faster; or the file system has no links
                os.link(temporary, path)
        finally:
            temporary.unlink()
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666))


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unused(path: Path) -> Path:
    """A hidden name beside a path, which no other process or thread has."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")


def _write_out(file: int, content: bytes) -> None:
    """Write the whole content, and flush it to disk."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
