"""The interface of the places in which a results folder can be kept.

`LocalFolder` is a folder that this machine sees, `ObjectStore` an object store of which this machine has a copy. What
is stored is bytes by name, as records/C-s42-1f2e3d4c.json; a name with / at its end means all that is below it.
"""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class LedgerError(RuntimeError):
    """The results folder cannot be used; the message is one line."""


class HeldError(LedgerError):
    """Another process holds the results folder."""


class Store(Protocol):
    """Keeps files by name. What one machine has put, shared or appended, all others see from then on.

    Whatever reads raises UnreadableError for a file that is there, or may be, and cannot be read (see `reading`).
    """

    folder: Path
    """The folder in which this machine reads files after `fetch`, and writes those that it will `share`."""
    location: str
    """The folder or URL of the store, as `open_ledger` takes it on any machine."""
    is_remote: bool
    """Whether `folder` is a copy, which follows the store only by `fetch`, as the store follows it only by `share`."""

    def fetch(self, name: str) -> None:
        """Update a file in `folder`, or all files below one of its folders, from the store."""

    def share(self, name: str) -> None:
        """Update a file in the store from `folder`."""

    def get(self, name: str) -> bytes | None:
        """The content of a file of the store, or None if there is no such file."""

    def size(self, name: str) -> int | None:
        """The bytes of a file of the store, or None if there is no such file."""

    def put(self, name: str, content: bytes) -> None:
        """Replace the content of a file of the store: others see the old content or the new, after a crash too."""

    def move(self, name: str, new_name: str) -> None:
        """Give a file another name."""

    def withdraw(self, name: str) -> None:
        """Remove a file, or all below a folder, from the store and from `folder`, as far as it is there."""

    def append(self, name: str, line: str) -> int:
        """Add a line. Returns its number, counted from 1, which no other line gets."""

    def lines(self, name: str) -> list[str]:
        """The lines that were appended, in their order, with what a crash may have left of one."""

    def appended(self, name: str) -> AbstractContextManager[int]:
        """Yield how many lines were appended. If the store can prevent it, nobody appends more in the context."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the store for one sweep; the death of this process lets go of it.

        Raises HeldError where another process holds it, and LedgerError where it cannot be written.
        """

    def holder(self) -> str | None:
        """The process that holds the store now."""


def this_process() -> str:
    """The name under which this process holds a store or begins an attempt."""
    return f"process {os.getpid()} on {os.uname().nodename}"
