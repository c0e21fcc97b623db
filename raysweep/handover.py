"""How a second command hands its plan to the one that holds the results folder: its arguments, in a sealed file.

    RESULTS/inbox/1732437000.123456-4711.json

The holder plans from the arguments as it would from its own; nothing in the file is executed.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from raysweep import durable

INBOX = "inbox"


def offer(folder: Path, argv: Sequence[str]) -> Path:
    """Leave the arguments of a command for the holder. Returns the file, which is gone once it was taken."""
    file = folder / INBOX / f"{time.time():.6f}-{os.getpid()}.json"
    durable.write_sealed(file, {"argv": list(argv), "folder": os.getcwd()})
    return file


def take(folder: Path) -> list[tuple[list[str], str]]:
    """The arguments that were left, each with the folder in which it was typed, in order; each is taken once."""
    found = []
    for file in sorted((folder / INBOX).glob("*.json")):
        content = durable.read_sealed(file)
        file.unlink(missing_ok=True)
        if content:
            found.append((list(map(str, content["argv"])), str(content["folder"])))
    return found
