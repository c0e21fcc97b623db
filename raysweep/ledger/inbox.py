"""Lets a second command hand its arguments, in a sealed file, to the sweep that holds the results folder.

    RESULTS/inbox/1732437000.123456-4711.json

The holder plans from the arguments as it would from its own; nothing in the file is executed.
"""

import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from raysweep.ledger import durable
from raysweep.ledger.reading import names_in
from raysweep.ledger.records import Ledger
from raysweep.ledger.store import HeldError, Store

INBOX = "inbox"
COMMAND = re.compile(r"\d+\.\d+-\d+\.json")
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


@dataclass(kw_only=True, slots=True)
class Taken:
    """What the holder has found in the inbox."""

    commands: list[tuple[list[str], str]] = field(default_factory=list)
    """The arguments that were left, each with the folder in which it was typed, in order; each is taken once."""
    unreadable: list[str] = field(default_factory=list)
    """A line for each command that cannot be read or taken, which stays for the next sweep."""


def take_commands(ledger: Ledger) -> Taken:
    """Take the commands that were left."""
    taken = Taken()
    try:
        ledger.store.fetch(f"{INBOX}/")
        names = names_in(ledger.folder / INBOX)
    except OSError as error:
        return Taken(unreadable=[str(error)])
    for name in names:
        if not COMMAND.fullmatch(name):  # a file of another program, such as a copy that one left
            continue
        try:
            content = durable.read_sealed(ledger.folder / INBOX / name)
            ledger.store.withdraw(f"{INBOX}/{name}")
        except OSError as error:
            taken.unreadable.append(str(error))
            continue
        if content:
            taken.commands.append((list(map(str, content["argv"])), str(content["folder"])))
    return taken


def offer(store: Store, argv: Sequence[str]) -> str:
    """Leave the arguments of a command for the holder, who removes the file. Returns its name."""
    name = f"{INBOX}/{time.time():.6f}-{os.getpid()}.json"
    store.put(name, durable.sealed({"argv": list(argv), "folder": os.getcwd()}))
    return name
