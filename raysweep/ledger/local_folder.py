"""A results folder on a file system of this machine, or on one that several machines share.

attempts/RUN    a line for each time that a run was started
lock            the process that holds the folder, which has locked this file
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from raysweep.ledger import durable
from raysweep.ledger.reading import UnreadableError, names_in, read_file, unreadable
from raysweep.ledger.sharing import open_all_to_group, open_to_group
from raysweep.ledger.store import HeldError, LedgerError, this_process
from raysweep.messages import PlanError
from raysweep.paths import expanded


class LocalFolder:
    """A store that keeps its files in a folder, which is made if it does not exist."""

    is_remote = False

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Raises LedgerError for a folder below a home that does not exist."""
        try:
            self.folder = expanded(folder)
        except PlanError as error:
            raise LedgerError(f"the results folder {folder} cannot be found ({error})") from None
        self.location = str(self.folder)

    def fetch(self, name: str) -> None:
        """Nothing is to be done: the folder is the store."""

    def share(self, name: str) -> None:
        """Nothing is to be done: the folder is the store."""

    def get(self, name: str) -> bytes | None:
        """The content of a file, or None if there is no such file. Raises UnreadableError if it cannot be read."""
        return read_file(self.folder / name)

    def size(self, name: str) -> int | None:
        """The bytes of a file, or None if there is no such file."""
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """Replace the content of a file."""
        durable.write_bytes(self.folder / name, content)

    def move(self, name: str, new_name: str) -> None:
        """Give a file another name."""
        file, target = self.folder / name, self.folder / new_name
        durable.make_folder(target.parent)
        file.rename(target)
        durable.sync_folder(target.parent)
        durable.sync_folder(file.parent)

    def withdraw(self, name: str) -> None:
        """Remove a file, or a folder. Raises PermissionError where a part of it belongs to somebody else."""
        if name.endswith("/"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            left = names_in(self.folder / name)
            if any(not one.startswith(".nfs") for one in left):  # those go when they are closed
                raise PermissionError(errno.EACCES, "cannot be removed", str(self.folder / name))
        else:
            (self.folder / name).unlink(missing_ok=True)

    def append(self, name: str, line: str) -> int:
        """Add a line to a file; one that a crash left unfinished counts as a line."""
        with self.appended(name):
            return durable.append_line(self.folder / name, line)

    def lines(self, name: str) -> list[str]:
        """The lines of a file. Raises UnreadableError if it cannot be read."""
        return (self.get(name) or b"").decode(errors="replace").splitlines()

    @contextlib.contextmanager
    def appended(self, name: str) -> Iterator[int]:
        """Yield how many lines a file has; within the context nobody else appends one."""
        file = self.folder / name
        with _opened(file, "ab") as stream:
            open_to_group(file, file.parent)  # it may be shared only since the file was made
            with contextlib.suppress(OSError):  # a shared file system that knows no locks
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield len((read_file(file) or b"").splitlines())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; the system lets go of it when this process ends, however it ends."""
        try:
            stream = _opened(self.folder / "lock", "a+")
        except OSError as error:
            if isinstance(error, UnreadableError):
                raise
            raise LedgerError(f"cannot write to the results folder {self.folder} ({error.strerror})") from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "another process"
                raise HeldError(
                    f"{self.folder} is in use by {holder}; wait for it, name other --results, or add --preempt to have "
                    "it run this first"
                ) from None
            except OSError as error:  # a shared file system that knows no locks
                print(f"{self.folder} cannot be locked ({error.strerror}); take care to run one sweep at a time in it")
            stream.truncate(0)
            stream.write(f"{this_process()}\n")
            stream.flush()
            open_all_to_group(self.folder)  # it may be shared only since the last sweep
            yield

    def holder(self) -> str | None:
        """The process that holds the folder or, on a file system without locks, the last one that held it.

        Raises UnreadableError where that cannot be found out.
        """
        if read_file(self.folder / "lock") is None:
            return None
        with _opened(self.folder / "lock", "r") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return stream.read().strip() or "another process"
        return None


def _opened(file: Path, mode: str) -> IO[Any]:
    """The file, opened, and made if it is to be written. Raises UnreadableError if it is there and does not open."""
    try:
        if mode != "r":
            durable.make_file(file)
        return file.open(mode)
    except OSError as error:
        if os.path.lexists(file) and error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise unreadable(file, error) from None
        raise
