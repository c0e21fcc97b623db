"""How a second command hands its plan to the one that holds the results folder: its arguments, in a sealed file.

    RESULTS/inbox/1732437000.123456-4711.json

The holder plans from the arguments as it would from its own; nothing in the file is executed.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from raysweep.ledger import durable
from raysweep.ledger.records import HeldError, Ledger

INBOX = "inbox"
LOOK_EVERY = 0.5
"""Seconds between two looks at whether it was taken."""


def offer(ledger: Ledger, argv: Sequence[str]) -> Path:
    """Leave the arguments of a command for the holder. Returns the file, of which `is_taken` says whether it was."""
    file = ledger.folder / INBOX / f"{time.time():.6f}-{os.getpid()}.json"
    durable.write_sealed(file, {"argv": list(argv), "folder": os.getcwd()})
    ledger.share(file)
    return file


def hold_or_offer(ledger: Ledger, stack: contextlib.ExitStack, argv: Sequence[str]) -> bool:
    """Hold the results folder within `stack`, or have whoever holds it run the command: whether that has taken it."""
    offered = None
    while True:
        try:
            stack.enter_context(ledger.locked())
        except HeldError as held:
            if offered is None:
                offered = offer(ledger, argv)
                print(f"{str(held).partition(';')[0]}, which is asked to run this first", flush=True)
            elif is_taken(ledger, offered):
                print("it has taken it over, and will print the results; running trials write their checkpoints first")
                return True
            try:
                time.sleep(LOOK_EVERY)
            except KeyboardInterrupt:
                withdraw(ledger, offered)
                raise
        else:
            if offered:
                withdraw(ledger, offered)
            return False


def is_taken(ledger: Ledger, file: Path) -> bool:
    """Whether the holder has what was offered."""
    ledger.fetch(f"{INBOX}/{file.name}")
    return not file.exists()


def withdraw(ledger: Ledger, file: Path) -> None:
    """Offer it no more."""
    file.unlink(missing_ok=True)
    ledger.withdraw(f"{INBOX}/{file.name}")


def take_commands(ledger: Ledger) -> list[tuple[list[str], str]]:
    """The arguments that were left, each with the folder in which it was typed, in order; each is taken once."""
    found = []
    ledger.fetch(f"{INBOX}/")
    for file in sorted((ledger.folder / INBOX).glob("*.json")):
        content = durable.read_sealed(file)
        withdraw(ledger, file)
        if content:
            found.append((list(map(str, content["argv"])), str(content["folder"])))
    return found
