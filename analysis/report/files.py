"""Files of a report: whole or as they were before, and not touched where nothing changed."""

import os
from pathlib import Path

from raysweep.ledger import make_folder, open_to_group


def write_if_changed(path: Path, text: str) -> bool:
    """Give a file this content. Returns whether it had another; where it had not, it keeps its time.

    Nothing waits for the disk: a report that a crash has spoilt is written again.
    """
    content = text.encode("utf-8", errors="surrogatepass")
    try:
        if path.stat().st_size == len(content) and path.read_bytes() == content:
            return False
    except FileNotFoundError:
        make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        open_to_group(temporary, path.parent)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return True
