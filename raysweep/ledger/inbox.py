"""Lets a second command hand its arguments, in a sealed file, to the sweep that holds the results folder.

    RESULTS/inbox/1732437000.123456-4711.json

The holder plans from the arguments as it would from its own; nothing in the file is executed.
"""

import contextlib
import os
import time
from collections.abc import Sequence

from raysweep.ledger import durable
from raysweep.ledger.records import Ledger
from raysweep.ledger.store import HeldError, Store

INBOX = "inbox"
LOOK_EVERY = 0.5
"""Seconds between two checks whether the holder has taken the command."""


def hold_or_offer(ledger: Ledger, stack: contextlib.ExitStack, argv: Sequence[str]) -> bool:
    """Hold the results folder within `stack`, or let its holder run the command. Returns whether the holder took it."""
    store, offered = ledger.store, None
    while True:
        try:
            stack.enter_context(store.locked())
        except HeldError as held:
            if offered is None:
                offered = offer(store, argv)
                print(f"{str(held).partition(';')[0]}, which is asked to run this first", flush=True)
            elif store.get(offered) is None:
                print("it has taken it over, and will print the results; running trials write their checkpoints first")
                return True
            try:
                time.sleep(LOOK_EVERY)
            except KeyboardInterrupt:
                store.withdraw(offered)
                raise
        else:
            if offered:
                store.withdraw(offered)
            return False


def take_commands(ledger: Ledger) -> list[tuple[list[str], str]]:
    """The arguments that were left, each with the folder in which it was typed, in order; each is taken once."""
    found = []
    ledger.store.fetch(f"{INBOX}/")
    for file in sorted((ledger.folder / INBOX).glob("*.json")):
        content = durable.read_sealed(file)
        ledger.store.withdraw(f"{INBOX}/{file.name}")
        if content:
            found.append((list(map(str, content["argv"])), str(content["folder"])))
    return found


def offer(store: Store, argv: Sequence[str]) -> str:
    """Leave the arguments of a command for the holder, who removes the file. Returns its name."""
    name = f"{INBOX}/{time.time():.6f}-{os.getpid()}.json"
    store.put(name, durable.sealed({"argv": list(argv), "folder": os.getcwd()}))
    return name
