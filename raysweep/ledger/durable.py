"""Writes files that are whole or absent, whatever happens to the process or the machine, and that show any damage.

The content goes to a temporary file, which is flushed to disk and renamed; its folder is flushed, too.
So a reader finds the old content or the new, even after a crash. A sealed file carries a checksum of its content.
In a folder that a group shares, the group may read and write what is made (see `sharing`).
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from raysweep.ledger.reading import read_file
from raysweep.ledger.sharing import open_to_group


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
    make_folder(path.parent)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        open_to_group(path, path.parent)
        content = path.read_bytes()
        unfinished = bool(content) and not content.endswith(b"\n")
        _write_out(file, b"\n" * unfinished + line.encode() + b"\n")
    finally:
        os.close(file)
    sync_folder(path.parent)
    return content.count(b"\n") + unfinished + 1


def make_folder(path: Path) -> None:
    """Make a folder and those above it, and flush their entries to disk."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        open_to_group(path, path.parent)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_out(file: int, content: bytes) -> None:
    """Write the whole content, and flush it to disk."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
