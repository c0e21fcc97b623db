"""A results folder in an object store (`--results s3://bucket/folder`, or what else fsspec knows), and its copies.

Each machine that works on it has a copy in its cache. What is written there is then put into the store under the same
name, where an object is whole or absent; what is read there is fetched first. The store is the truth: what a copy has
and the store has not is removed from the copy.

    attempts/RUN/3              the third time that a run was started; made by one process alone
    lock/7                      the process that holds the folder, and when it last said that it lives
    runs/RUN/checkpoint.json    which objects are its best.pt and last.pt: always a pair that was there together

Needs a store that can create an object only where there is none (S3, GCS: conditional writes).
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec

from raysweep.cache import cache_folder
from raysweep.ledger import durable
from raysweep.ledger.records import STOP, HeldError, Ledger, LedgerError, this_process

CHECKPOINT = ("best.pt", "last.pt")
LOOK_EVERY = 2.0
"""Seconds between two looks at what a worker has written."""
ATTEMPTS = 5
"""Times that a checkpoint is read which is replaced while it is read."""
HEARTBEAT = 20.0
"""Seconds between two signs of life of the holder."""
DEAD = 120.0
"""Seconds without one after which another may take over."""


class RemoteLedger(Ledger):
    """The records below a URL, by way of a copy in `folder`."""

    def __init__(self, url: str, folder: str | os.PathLike[str] | None = None) -> None:
        """Raises LedgerError for a URL that fsspec, as installed, does not know."""
        url = url.rstrip("/")
        super().__init__(folder or cache_folder() / "results" / hashlib.sha256(url.encode()).hexdigest()[:16])
        self.location = url
        try:
            self._store, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise LedgerError(f"--results {url}: {error}") from None
        self._versions: dict[str, Any] = {}
        """Of each file here that is as it is in the store, the version there."""

    def fetch(self, part: str) -> None:
        """Make the files below `part` here those of the store: a folder with / at its end, or one file."""
        there = self._listed(part)
        for name, version in there.items():
            if self._versions.get(name) != version or not (self.folder / name).exists():
                content = self._get(name)
                if content is not None:
                    durable.write_bytes(self.folder / name, content)
                    self._versions[name] = version
        here = (self.folder / part).rglob("*") if part.endswith("/") else [self.folder / part]
        for file in here:
            name = str(file.relative_to(self.folder))
            if name not in there and not file.name.startswith(".") and not file.is_dir():
                file.unlink(missing_ok=True)
                self._versions.pop(name, None)

    def share(self, *files: Path) -> None:
        """Put files of this copy into the store."""
        for file in files:
            self.put(str(file.relative_to(self.folder)), file.read_bytes())

    def put(self, name: str, content: bytes) -> None:
        """Put an object into the store, in place of the one that may be there."""
        with _one_line(self.location):
            self._store.pipe_file(self._at(name), content)

    def withdraw(self, part: str) -> None:
        """Remove a file, or with / at its end a folder, from the store."""
        for name in self._listed(part):
            with contextlib.suppress(FileNotFoundError), _one_line(self.location):
                self._store.rm_file(self._at(name))

    @contextlib.contextmanager
    def at_work(self, run_name: str, rank: int, *, first_here: bool, meet: Callable[[], None]) -> Iterator[None]:
        folder = self.run_folder(run_name)
        pair = {}
        if first_here:
            shutil.rmtree(folder, ignore_errors=True)
            pair = self._fetch_checkpoint(run_name)
        durable.make_folder(folder)
        meet()
        done = threading.Event()
        sharing = _Sharing(self, run_name, rank, pair)

        def share() -> None:
            while not done.wait(LOOK_EVERY):
                with contextlib.suppress(OSError):  # the store may be back at the next look
                    sharing.look()

        thread = threading.Thread(target=share, daemon=True, name="sharing")
        thread.start()
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                sharing.look()
            raise
        else:
            sharing.look()
        finally:
            done.set()
            with contextlib.suppress(OSError):
                self.withdraw(f"runs/{run_name}/pulse-{rank}")

    @contextlib.contextmanager
    def seen_from_afar(self) -> Iterator[Ledger]:
        with tempfile.TemporaryDirectory() as copy:
            yield RemoteLedger(self.location, copy)

    def _fetch_checkpoint(self, run_name: str) -> dict[str, str]:
        """Bring a run's checkpoint here. Returns the names that best.pt and last.pt have in the store."""
        for _ in range(ATTEMPTS):
            pair = self._get(f"runs/{run_name}/checkpoint.json")
            names: dict[str, str] = json.loads(pair) if pair else {}
            contents = {name: self._get(f"runs/{run_name}/{names[name]}") for name in CHECKPOINT if name in names}
            if None not in contents.values():  # replaced meanwhile
                break
        else:
            raise OSError(f"{self.location}/runs/{run_name} lacks a part of its checkpoint")
        for name, content in contents.items():
            if content is not None:
                durable.write_bytes(self.run_folder(run_name) / name, content)
        return names

    def begin(self, run_name: str) -> int:
        number = self._latest(run_name) + 1
        while not self._create(f"attempts/{run_name}/{number}", f"{this_process()} {uuid.uuid4().hex}\n".encode()):
            number += 1
        return number

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """As of any ledger; a holder that has shown no sign of life for two minutes is taken to be gone."""
        try:
            number, content = self._holder()
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

        with super().locked():
            threading.Thread(target=live, daemon=True, name="holder").start()
            try:
                yield
            finally:
                done.set()
                self.withdraw(mine)

    def holder(self) -> str | None:
        """As of any ledger, by its signs of life."""
        _, content = self._holder()
        return str(content["holder"]) if content and time.time() - content["alive"] < DEAD else None

    def _holder(self) -> tuple[int, dict[str, Any] | None]:
        numbers = [int(name.rpartition("/")[2]) for name in self._listed("lock/")]
        if not numbers:
            return 0, None
        content = self._get(f"lock/{max(numbers)}")
        return max(numbers), json.loads(content) if content else None

    @contextlib.contextmanager
    def _attempts(self, run_name: str) -> Iterator[int]:
        """How often a run was started; others are kept out by the store's conditional writes, not by a lock."""
        yield self._latest(run_name)

    def _latest(self, run_name: str) -> int:
        return max((int(name.rpartition("/")[2]) for name in self._listed(f"attempts/{run_name}/")), default=0)

    def _create(self, name: str, content: bytes) -> bool:
        """Make an object of unique content; False where there is one."""
        waits = [0.1, 0.5, 2.0]
        while True:
            try:
                with _one_line(self.location):
                    self._store.pipe_file(self._at(name), content, mode="create")
                return True
            except OSError:  # there is one; two came at once; or it was made and the answer lost
                there = self._get(name)
                if there is not None:
                    return there == content
                if not waits:
                    raise
                time.sleep(waits.pop(0))

    def _get(self, name: str) -> bytes | None:
        try:
            with _one_line(self.location):
                content: bytes = self._store.cat_file(self._at(name))
        except FileNotFoundError:
            return None
        return content

    def _listed(self, part: str) -> dict[str, Any]:
        """Names and versions of the objects below a folder, or of one."""
        try:
            with _one_line(self.location):
                found = self._store.find(self._at(part.rstrip("/")), detail=True)
        except FileNotFoundError:
            return {}
        names = {path.removeprefix(self._root).lstrip("/"): info for path, info in found.items()}
        return {
            name: info.get("ETag") or (info.get("mtime"), info["size"])
            for name, info in names.items()
            if info["type"] == "file"
            and (name.startswith(part) if part.endswith("/") else name == part)
            and ".." not in name.split("/")  # it would lead out of the copy
        }

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


class _Sharing:
    """What a worker has to say to others, and they to it, by files in its run's folder."""

    def __init__(self, ledger: RemoteLedger, run_name: str, rank: int, pair: dict[str, str]) -> None:
        """`pair` are the names in the store of the checkpoint that was fetched; of rank 0, which shares the next."""
        self._ledger, self._run, self._rank = ledger, run_name, rank
        self._one_at_a_time = threading.Lock()
        self._folder = ledger.run_folder(run_name)
        self._pair = pair
        self._shared = {name: _version(self._folder / name) for name in pair}

    def look(self) -> None:
        """Share what is new, and see whether the run is to stop."""
        with self._one_at_a_time:
            self._look()

    def _look(self) -> None:
        for name in (f"pulse-{self._rank}", f"stacks-{self._rank}"):
            self._share_if_new(name)
        if self._rank == 0:
            self._share_checkpoint()
            self._ledger.fetch(f"runs/{self._run}/{STOP}")

    def _share_if_new(self, name: str) -> None:
        file = self._folder / name
        version = _version(file)
        if version and version != self._shared.get(name):
            with contextlib.suppress(FileNotFoundError):
                self._ledger.share(file)
                self._shared[name] = version

    def _share_checkpoint(self) -> None:
        """Share best.pt and last.pt as they were at one moment; the trainable replaces them one after the other."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".shared-") as beside:
            held = Path(beside)
            while True:
                versions = _versions(self._folder)
                if versions == {name: self._shared.get(name) for name in CHECKPOINT}:
                    return
                for name in CHECKPOINT:
                    (held / name).unlink(missing_ok=True)
                    with contextlib.suppress(FileNotFoundError):
                        os.link(self._folder / name, held / name)
                if _versions(held) == versions == _versions(self._folder):
                    break
            pair = {}
            for name in CHECKPOINT:
                if versions[name] and versions[name] == self._shared.get(name):
                    pair[name] = self._pair[name]
                elif versions[name]:
                    pair[name] = f"{name}.{uuid.uuid4().hex[:12]}"
                    self._ledger.put(f"runs/{self._run}/{pair[name]}", (held / name).read_bytes())
            self._ledger.put(f"runs/{self._run}/checkpoint.json", json.dumps(pair).encode())
        for old in set(self._pair.values()) - set(pair.values()):
            self._ledger.withdraw(f"runs/{self._run}/{old}")
        self._pair = pair
        self._shared |= versions


_Version = tuple[int, int] | None


def _version(file: Path) -> _Version:
    """What tells a file from the one that replaces it; None where there is none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _versions(folder: Path) -> dict[str, _Version]:
    """Of the parts of a checkpoint."""
    return {name: _version(folder / name) for name in CHECKPOINT}


def _sign_of_life() -> bytes:
    return json.dumps({"holder": this_process(), "alive": time.time(), "id": uuid.uuid4().hex}).encode()


@contextlib.contextmanager
def _one_line(url: str) -> Iterator[None]:
    """What a store raises as an OSError that names it."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{url}: {str(error).splitlines()[0]}") from None
