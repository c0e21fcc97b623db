"""Lets a second command hand its arguments, in a sealed file, to the sweep that holds the results folder.

    RESULTS/inbox/1732437000.123456-4711.json            what is asked for; the holder removes it
    RESULTS/inbox/1732437000.123456-4711.json.refused    why the holder will not do it, in a line

The holder plans from the arguments as it would from its own; nothing in the file is executed.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raysweep.ledger import durable
from raysweep.ledger.reading import names_in
from raysweep.ledger.records import Ledger
from raysweep.ledger.store import HeldError, LedgerError, Store

INBOX = "inbox"
COMMAND = re.compile(r"\d+\.\d+-\d+\.json")
LOOK_EVERY = 0.5
"""Seconds between two checks whether the holder has taken the command."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A command that is handed over."""

    name: str
    """The file that holds it."""
    argv: tuple[str, ...]
    folder: str
    """The folder in which the command was typed."""
    code: str
    """The hash of the code that planned it (see `ledger.code`)."""


def hold_or_offer(ledger: Ledger, stack: contextlib.ExitStack, argv: Sequence[str], code: Callable[[], str]) -> bool:
    """Hold the results folder within `stack`, or let its holder run the command. Returns whether the holder took it.

    `code` gives the hash of the code that has planned the command. Raises LedgerError if the holder refuses it.
    """
    store, offered = ledger.store, None
    while True:
        try:
            stack.enter_context(store.locked())
        except HeldError as held:
            if offered is None:
                offered = offer(store, argv, code())
                print(f"{str(held).partition(';')[0]}, which is asked to run this first", flush=True)
            elif store.get(offered) is None:
                if refused := store.get(_refusal(offered)):
                    store.withdraw(_refusal(offered))
                    raise LedgerError(f"the sweep that runs in {store.location} refuses: {refused.decode()}") from None
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


def offers(ledger: Ledger) -> tuple[list[Offer], list[str]]:
    """The commands that wait for an `answer`, in order, and a line for each that cannot be read, which stays there."""
    found: list[Offer] = []
    unreadable: list[str] = []
    try:
        ledger.store.fetch(f"{INBOX}/")
        names = names_in(ledger.folder / INBOX)
    except OSError as error:
        return [], [str(error)]
    for name in names:
        if not COMMAND.fullmatch(name):  # a file of another program, such as a copy that one left
            continue
        try:
            content = durable.read_sealed(ledger.folder / INBOX / name)
            if content is None:
                ledger.store.withdraw(f"{INBOX}/{name}")
                continue
        except OSError as error:
            unreadable.append(str(error))
            continue
        argv, folder, code = tuple(map(str, content["argv"])), str(content["folder"]), str(content.get("code", ""))
        found.append(Offer(name=f"{INBOX}/{name}", argv=argv, folder=folder, code=code))
    return found, unreadable


def answer(store: Store, offered: Offer, refusal: str = "") -> None:
    """Take an offer, or refuse it with a reason for its giver."""
    if refusal:
        store.put(_refusal(offered.name), refusal.encode())
    store.withdraw(offered.name)


def offer(store: Store, argv: Sequence[str], code: str) -> str:
    """Leave the arguments of a command for the holder, who removes the file. Returns its name."""
    name = f"{INBOX}/{time.time():.6f}-{os.getpid()}.json"
    store.put(name, durable.sealed({"argv": list(argv), "folder": os.getcwd(), "code": code}))
    return name


def _refusal(name: str) -> str:
    return f"{name}.refused"
