"""A results folder in an object store (`--results s3://bucket/folder`, or what else fsspec knows), and its copies.

Each machine that works on it has a copy in its cache. An object of the store is whole or absent. A file is fetched
before it is read in a copy. The store decides: a file that it does not have is removed from the copy.

    attempts/RUN/3    an object for each time that a run was started, made by one process alone
    lock/7            the process that holds the store, and when it last said that it lives

Needs a store that can create an object only where there is none (S3, GCS: conditional writes).
"""

import contextlib
import hashlib
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import fsspec

from raysweep.cache import cache_folder
from raysweep.ledger.local_folder import LocalFolder
from raysweep.ledger.reading import UnreadableError
from raysweep.ledger.store import HeldError, LedgerError, this_process
from raysweep.messages import reason_of

HEARTBEAT = 20.0
"""Seconds between two signs of life of the holder."""
DEAD = 120.0
"""Seconds without a sign of life after which another process may take over."""


class ObjectStore:
    """The store below a URL, with a copy in `folder` or, without one, in this machine's cache."""

    is_remote = True

    def __init__(self, url: str, folder: str | os.PathLike[str] | None = None) -> None:
        """Raises LedgerError for a URL that fsspec, as installed, does not know."""
        url = url.rstrip("/")
        self._copy = LocalFolder(folder or cache_folder() / "results" / hashlib.sha256(url.encode()).hexdigest()[:16])
        self.folder, self.location = self._copy.folder, url
        try:
            self._store, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise LedgerError(f"--results {url}: {error}") from None
        self._versions: dict[str, Any] = {}
        """The store's version of each file of the copy that equals the store's."""

    def fetch(self, name: str) -> None:
        """Update a file of the copy, or all files below a folder, from the store.

        Raises UnreadableError, once all others are updated, for objects that cannot be read; the copy loses them.
        """
        there = self._listed(name)
        unreadable: dict[str, str] = {}
        for one, version in there.items():
            if self._versions.get(one) != version or not (self.folder / one).exists():
                try:
                    content = self.get(one)
                except UnreadableError as error:
                    unreadable |= error.reasons
                    self._copy.withdraw(one)
                    continue
                if content is not None:
                    self._copy.put(one, content)
                    self._versions[one] = version
        here = (self.folder / name).rglob("*") if name.endswith("/") else [self.folder / name]
        for file in here:
            one = str(file.relative_to(self.folder))
            if one not in there and not file.name.startswith(".") and not file.is_dir():
                file.unlink(missing_ok=True)
                self._versions.pop(one, None)
        if unreadable:
            raise UnreadableError(unreadable)

    def share(self, name: str) -> None:
        """Put a file of the copy into the store. Raises FileNotFoundError if the copy lacks it."""
        self.put(name, (self.folder / name).read_bytes())

    def get(self, name: str) -> bytes | None:
        """The content of an object, or None if there is no such object. Raises UnreadableError if it cannot be read."""
        try:
            with _one_line(self.location):
                content: bytes = self._store.cat_file(self._at(name))
        except FileNotFoundError:
            return None
        except OSError as error:
            why = str(error).removeprefix(f"{self.location}: ").splitlines() or [type(error).__name__]
            raise UnreadableError({f"{self.location}/{name}": why[0]}) from None
        return content

    def size(self, name: str) -> int | None:
        """The bytes of an object, or None if there is no such object."""
        try:
            with _one_line(self.location):
                return int(self._store.size(self._at(name)))
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """Put an object into the store, replacing one of this name. The copy gets it by `fetch`."""
        with _one_line(self.location):
            self._store.pipe_file(self._at(name), content)

    def move(self, name: str, new_name: str) -> None:
        """Give an object another name; for a moment it has both."""
        content = self.get(name)
        if content is not None:  # else another machine was faster
            self.put(new_name, content)
            self.withdraw(name)

    def withdraw(self, name: str) -> None:
        """Remove an object, or all below a folder, and what the copy has of it."""
        if (self.folder / name).exists():
            self._copy.withdraw(name)
        for one in self._listed(name):
            with contextlib.suppress(FileNotFoundError), _one_line(self.location):
                self._store.rm_file(self._at(one))

    def append(self, name: str, line: str) -> int:
        """Add a line, as an object below `name` whose name is the line's number."""
        content = f"{line} {uuid.uuid4().hex}\n".encode()
        with self.appended(name) as latest:
            number = latest + 1
            while not self._create(f"{name}/{number}", content):
                number += 1
        return number

    def lines(self, name: str) -> list[str]:
        """The lines of all objects below `name`. Raises UnreadableError if one cannot be read."""
        objects = sorted(self._listed(f"{name}/"), key=lambda one: int(one.rpartition("/")[2]))
        return [(self.get(one) or b"").decode(errors="replace").rpartition(" ")[0] for one in objects]

    @contextlib.contextmanager
    def appended(self, name: str) -> Iterator[int]:
        """Yield how many lines were appended. Others may append more meanwhile, under numbers of their own."""
        yield max((int(one.rpartition("/")[2]) for one in self._listed(f"{name}/")), default=0)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store; a holder that has shown no sign of life for two minutes is taken to be gone."""
        try:
            number, content = self._holder()
        except UnreadableError:
            raise
        except OSError as error:
            raise LedgerError(str(error)) from None
        if content and time.time() - content["alive"] < DEAD:
            raise HeldError(
                f"{self.location} is in use by {content['holder']}; wait for it, name other --results, or add "
                "--preempt to have it run this first"
            )
        mine = f"lock/{number + 1}"
        try:
            made = self._create(mine, _sign_of_life())
        except OSError as error:  # no such bucket, no right to write
            raise LedgerError(f"cannot write to {self.location} ({error})") from None
        if not made:
            raise HeldError(f"{self.location} was taken by another process at this moment; try again")
        if number:
            self.withdraw(f"lock/{number}")
        done = threading.Event()

        def live() -> None:
            while not done.wait(HEARTBEAT):
                with contextlib.suppress(OSError):
                    if self._holder()[0] > number + 1:  # this machine had stood still, and another took over
                        print(f"{self.location} was taken over by another process", flush=True)
                        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as of a job in the background
                        os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)
                        return
                    self.put(mine, _sign_of_life())

        with self._copy.locked():
            threading.Thread(target=live, daemon=True, name="holder").start()
            try:
                yield
            finally:
                done.set()
                self.withdraw(mine)

    def holder(self) -> str | None:
        """The process that holds the store, by its signs of life."""
        _, content = self._holder()
        return str(content["holder"]) if content and time.time() - content["alive"] < DEAD else None

    def _holder(self) -> tuple[int, dict[str, Any] | None]:
        """The number of the last lock, 0 where there is none, and what its holder wrote."""
        numbers = [int(name.rpartition("/")[2]) for name in self._listed("lock/")]
        if not numbers:
            return 0, None
        content = self.get(f"lock/{max(numbers)}")
        return max(numbers), json.loads(content) if content else None

    def _create(self, name: str, content: bytes) -> bool:
        """Make an object, whose content is unique. Returns False if there is one of this name."""
        waits = [0.1, 0.5, 2.0]
        while True:
            try:
                with _one_line(self.location):
                    self._store.pipe_file(self._at(name), content, mode="create")
                return True
            except OSError:  # there is one; two came at once; or it was made and the answer lost
                there = self.get(name)
                if there is not None:
                    return there == content
                if not waits:
                    raise
                time.sleep(waits.pop(0))

    def _listed(self, name: str) -> dict[str, Any]:
        """Names and versions of the objects below a folder, or of one object."""
        try:
            with _one_line(self.location):
                found = self._store.find(self._at(name.rstrip("/")), detail=True)
        except FileNotFoundError:
            return {}
        names = {path.removeprefix(self._root).lstrip("/"): info for path, info in found.items()}
        return {
            one: info.get("ETag") or (info.get("mtime"), info["size"])
            for one, info in names.items()
            if info["type"] == "file"
            and (one.startswith(name) if name.endswith("/") else one == name)
            and ".." not in one.split("/")  # it would lead out of the copy
        }

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


def _sign_of_life() -> bytes:
    return json.dumps({"holder": this_process(), "alive": time.time(), "id": uuid.uuid4().hex}).encode()


@contextlib.contextmanager
def _one_line(url: str) -> Iterator[None]:
    """Turn an exception of the store's library into an OSError with a one-line message that names the store."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{url}: {reason_of(error)}") from None
