"""Where a results folder is kept: what its records, its runs and its documents need of a place, in one interface.

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
    """Keeps files by name. What one machine has put, shared or appended, all others see from then on."""

    folder: Path
    """Where this machine reads files, after `fetch`, and writes those that it means to `share`."""
    location: str
    """What names the store from any machine; `open_ledger` opens it."""
    is_remote: bool
    """Whether `folder` is a copy, which follows the store only by `fetch`, as the store follows it only by `share`."""

    def fetch(self, name: str) -> None:
        """Make a file, or all below a folder, in `folder` what the store has."""

    def share(self, name: str) -> None:
        """Make a file in the store what `folder` has."""

    def get(self, name: str) -> bytes | None:
        """The content of a file of the store; None where there is none."""

    def put(self, name: str, content: bytes) -> None:
        """Replace the content of a file of the store: others see the old content or the new, after a crash too."""

    def move(self, name: str, new_name: str) -> None:
        """Give a file another name."""

    def withdraw(self, name: str) -> None:
        """Remove a file, or all below a folder, from the store and from `folder`, as far as it is there."""

    def append(self, name: str, line: str) -> int:
        """Add a line. Returns its number, counted from 1, which no line gets that another process appends."""

    def appended(self, name: str) -> AbstractContextManager[int]:
        """How many lines were appended. Within the context nobody appends another, where the store can prevent it."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the store for one sweep; the death of this process lets go of it.

        Raises HeldError where another process holds it, and LedgerError where it cannot be written.
        """

    def holder(self) -> str | None:
        """The process that holds the store now."""


def this_process() -> str:
    """The name under which this process holds a store or begins an attempt."""
    return f"process {os.getpid()} on {os.uname().nodename}"
