"""The folders of runs, which hold their checkpoints and the files by which workers and the sweep tell each other.

runs/RUN/best.pt, last.pt      a run's checkpoint; in an object store best.pt.1f2e..., last.pt.3d4c... (once it has
                               finished, best.pt alone)
runs/RUN/checkpoint.json       in an object store, which objects they are: always such that were there together
runs/RUN/filters.npz           what a finished run has left of its filters (see `filters`); it stays
runs/RUN/stop                  asks the run to stop
runs/RUN/pulse-0, stacks-0     what each worker says of itself (see `trainables.control`)
"""

import contextlib
import json
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from raysweep.experiment import require_name
from raysweep.ledger import durable
from raysweep.ledger.reading import names_in, require_opens
from raysweep.ledger.sharing import open_all_to_group, open_to_group
from raysweep.ledger.store import LedgerError, Store

STOP = "stop"
FILTERS = "filters.npz"
LOOK_EVERY = 2.0
"""Seconds between two checks of what a worker has written."""
ATTEMPTS = 5
"""How often the read of a checkpoint is tried if it is replaced meanwhile."""


class RunFolders:
    """The folders of the runs of a results folder, by the runs' names."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def folder(self, run_name: str) -> Path:
        """Where a run keeps its checkpoints on this machine."""
        return self._store.folder / "runs" / safe_name(run_name)

    def remove(self, run_name: str) -> None:
        """Remove a run's checkpoints and all else that is in its folder."""
        self._store.withdraw(f"runs/{safe_name(run_name)}/")

    def require_readable(self, run_name: str, *, to_start: bool) -> None:
        """Raises UnreadableError for a file of a run that cannot be read.

        With `to_start`, it must be possible to add to the run's attempts, too. What is in an object store is not looked
        at: whoever fetches it says so.
        """
        folder = self.folder(run_name)
        for name in names_in(folder):
            if not name.startswith("."):
                require_opens(folder / name, os.O_RDONLY)
        if to_start:
            require_opens(self._store.folder / "attempts" / safe_name(run_name), os.O_RDWR)

    def tidy(self, run_name: str, checkpoint: Sequence[str], kept: Sequence[str], *, remove: bool = True) -> int:
        """Remove from the checkpoint of a finished run all but the files to be kept. Returns the bytes that this frees.

        Nothing is removed unless all files to be kept are there. Without `remove` the bytes are only counted.
        """
        folder = f"runs/{safe_name(run_name)}"
        stored = self._stored_as(folder, checkpoint)
        spare = {name: one for name, one in stored.items() if name not in kept}
        if not spare or not set(kept) <= stored.keys():
            return 0
        freed = sum(self._store.size(f"{folder}/{one}") or 0 for one in spare.values())
        if remove:
            if self._store.is_remote:  # first, so that a crash leaves no list with a file that has gone
                left = {name: one for name, one in stored.items() if name in kept}
                self._store.put(f"{folder}/checkpoint.json", json.dumps(left).encode())
            for name, one in spare.items():
                self._store.withdraw(f"{folder}/{one}")
                (self._store.folder / folder / name).unlink(missing_ok=True)
        return freed

    def _stored_as(self, folder: str, checkpoint: Sequence[str]) -> dict[str, str]:
        """The files of a checkpoint that are there, and what each is called in the store."""
        if self._store.is_remote:
            names = _names_in_store(self._store, folder)
            return {name: one for name, one in names.items() if name in checkpoint and "/" not in one}
        return {name: name for name in checkpoint if self._store.size(f"{folder}/{name}") is not None}

    def ask_to_stop(self, run_name: str) -> None:
        """Ask a run to write its checkpoint and end, as trainables.control says."""
        name = f"runs/{safe_name(run_name)}/{STOP}"
        self._store.put(name, b"")
        self._store.fetch(name)  # its worker may be on this machine

    def is_asked_to_stop(self, run_name: str) -> bool:
        """Whether the run has been asked to stop, and the request was not withdrawn."""
        return self._store.get(f"runs/{safe_name(run_name)}/{STOP}") is not None

    def let_go_on(self, run_name: str) -> None:
        """Withdraw the request that a run stop."""
        self._store.withdraw(f"runs/{safe_name(run_name)}/{STOP}")

    def fetch_pulse(self, run_name: str, rank: int) -> None:
        """Fetch what a worker of a run last wrote of itself."""
        self._store.fetch(f"runs/{safe_name(run_name)}/pulse-{rank}")

    @contextlib.contextmanager
    def at_work(
        self, run_name: str, rank: int, *, checkpoint: Sequence[str], first_here: bool, meet: Callable[[], None]
    ) -> Iterator[None]:
        """While a worker of a run is at work: its folder is, and stays, what others see.

        `checkpoint` has the names of the files that a checkpoint consists of, `first_here` is for one of the workers on
        a machine, and `meet` waits for all of the run.
        """
        folder = self.folder(run_name)
        if not self._store.is_remote:
            durable.make_folder(folder.parent)
            try:
                yield
            finally:  # not every trainable sees to this itself
                with contextlib.suppress(OSError):
                    open_to_group(folder, folder.parent)
                    open_all_to_group(folder)
            return
        fetched: dict[str, str | None] = dict.fromkeys(checkpoint)
        if first_here:
            shutil.rmtree(folder, ignore_errors=True)
            fetched |= _fetch_checkpoint(self._store, run_name, checkpoint)
        durable.make_folder(folder)
        meet()
        with _Sharing(self._store, run_name, rank, fetched).going_on():
            yield


def safe_name(run_name: str) -> str:
    """The name of a run. Raises LedgerError for one that could lead out of the results folder."""
    try:
        return require_name(run_name, "run", longest=200)
    except ValueError as error:
        raise LedgerError(str(error)) from None


def _names_in_store(store: Store, folder: str) -> dict[str, str]:
    """The objects that a run's checkpoint consists of, by the names of its files."""
    listed = store.get(f"{folder}/checkpoint.json")
    names: dict[str, str] = json.loads(listed) if listed else {}
    return names


def _fetch_checkpoint(store: Store, run_name: str, checkpoint: Sequence[str]) -> dict[str, str]:
    """Fetch a run's checkpoint. Returns the name in the store of each of its files."""
    folder = f"runs/{safe_name(run_name)}"
    for _ in range(ATTEMPTS):
        names = _names_in_store(store, folder)
        contents = {name: store.get(f"{folder}/{names[name]}") for name in checkpoint if name in names}
        if None not in contents.values():
            break
    else:  # it was replaced each time while it was read
        raise OSError(f"{store.location}/{folder} lacks a part of its checkpoint")
    for name, content in contents.items():
        if content is not None:
            durable.write_bytes(store.folder / folder / name, content)
    return names


class _Sharing:
    """Exchanges files of a run's folder between a worker and the other processes."""

    def __init__(self, store: Store, run_name: str, rank: int, fetched: dict[str, str | None]) -> None:
        """`fetched` has the files of a checkpoint, with the names in the store of those that were fetched.

        Rank 0 shares the next checkpoint.
        """
        self._store, self._rank = store, rank
        self._name, self._folder = f"runs/{run_name}", store.folder / "runs" / run_name
        self._one_at_a_time = threading.Lock()
        self._stored = {name: stored for name, stored in fetched.items() if stored}
        self._checkpoint = tuple(fetched)
        self._shared = {name: _version(self._folder / name) for name in self._stored}

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Look again and again within the context, and once more at its end, where a failure is raised."""
        done = threading.Event()

        def share() -> None:
            while not done.wait(LOOK_EVERY):
                with contextlib.suppress(OSError):  # the store may be back at the next look
                    self.look()

        thread = threading.Thread(target=share, daemon=True, name="sharing")
        thread.start()
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                self.look()
            raise
        else:
            self.look()
        finally:
            done.set()
            with contextlib.suppress(OSError):
                self._store.withdraw(f"{self._name}/pulse-{self._rank}")

    def look(self) -> None:
        """Share what is new, and see whether the run is to stop."""
        with self._one_at_a_time:
            for name in (f"pulse-{self._rank}", f"stacks-{self._rank}"):
                self._share_if_new(name)
            if self._rank == 0:
                self._share_if_new(FILTERS)
                self._share_checkpoint()
                self._store.fetch(f"{self._name}/{STOP}")

    def _share_if_new(self, name: str) -> None:
        version = _version(self._folder / name)
        if version and version != self._shared.get(name):
            with contextlib.suppress(FileNotFoundError):
                self._store.share(f"{self._name}/{name}")
                self._shared[name] = version

    def _share_checkpoint(self) -> None:
        """Share a checkpoint's files as they were at one moment; the trainable replaces them one after the other."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".shared-") as beside:
            versions = self._hold_checkpoint(Path(beside))
            if versions is None:
                return
            stored = {}
            for name in self._checkpoint:
                if versions[name] and versions[name] == self._shared.get(name):
                    stored[name] = self._stored[name]
                elif versions[name]:
                    stored[name] = f"{name}.{uuid.uuid4().hex[:12]}"
                    self._store.put(f"{self._name}/{stored[name]}", (Path(beside) / name).read_bytes())
            self._store.put(f"{self._name}/checkpoint.json", json.dumps(stored).encode())
        for old in set(self._stored.values()) - set(stored.values()):
            self._store.withdraw(f"{self._name}/{old}")
        self._stored = stored
        self._shared |= versions

    def _hold_checkpoint(self, beside: Path) -> "dict[str, _Version] | None":
        """Link the parts of a checkpoint, as they are at one moment, into another folder.

        Returns their versions; None where they have been shared already.
        """
        while True:
            versions = _versions(self._folder, self._checkpoint)
            if versions == {name: self._shared.get(name) for name in self._checkpoint}:
                return None
            for name in self._checkpoint:
                (beside / name).unlink(missing_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    os.link(self._folder / name, beside / name)
            if _versions(beside, self._checkpoint) == versions == _versions(self._folder, self._checkpoint):
                return versions


_Version = tuple[int, int] | None


def _version(file: Path) -> _Version:
    """A value that changes when the file is replaced, or None if there is no file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _versions(folder: Path, checkpoint: Sequence[str]) -> dict[str, _Version]:
    """The version of each file of a checkpoint."""
    return {name: _version(folder / name) for name in checkpoint}
