"""`python -m trainables.data.prepare SOURCE TARGET`: a copy of a folder of images, the large ones resized once for all.

SOURCE is what --data-dir takes as an "imagefolder": train/ and val/ with class folders, or class folders alone. Its
images are copied as they are, but for those whose shorter side has more than --short-side pixels. Training on the copy
takes less time for reading and decoding. It is another data set than SOURCE, and answers say so. Run again, the command
goes on where it was cut off; until it has finished, the copy cannot be trained on.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from trainables.cli import UsageError, fail, parse
from trainables.data.catalog import locate
from trainables.data.copying import Copied, Copy, copies_of, copy_images
from trainables.data.entries import is_left_out
from trainables.data.info import DataError, DataInfo, Preparation, shown
from trainables.data.preparation import COMMAND, Mark, n_copied, read_mark, write_mark
from trainables.files import make_folder, open_to_group

LOCK = ".preparing"
"""Name of the file in TARGET that is locked by the process that fills it."""
MOST_NAMED = 3
"""So many images that cannot be copied are named."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Writes a copy of a folder of images, of which those are resized whose shorter side is too long."""

    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    """The folder to copy: train/ and val/ with class folders, or class folders alone."""
    target: Annotated[Positional[str], arg(metavar="TARGET")]
    """The folder of the copy: a new or empty one, or one that the same command has begun to fill."""
    short_side: int = 400
    """Pixels that the shorter side of an image has at most."""
    quality: int = 95
    """Quality of the JPEGs that are written, 1 to 100."""
    workers: int | None = None
    """Threads that copy; as many as there are CPUs that the process may use if left out."""


def main() -> None:
    """Check the options, copy what is missing, and mark the copy as finished."""
    try:
        options = parse(Options, prog=COMMAND)
        info, target = _checked(options)
        prepared = Preparation(short_side=options.short_side, quality=options.quality, source=info.fingerprint())
        _require_the_same(target, prepared, options)
        copies = copies_of(info, options.short_side)
        with _alone(target):
            new = Mark(prepared=prepared, n_images=len(copies), finished=False)
            mark = _require_the_same(target, prepared, options) or new
            copied = _fill(target, mark, copies, options)
    except ValueError as error:
        fail(error)
    except OSError as error:
        where = shown(os.fsdecode(error.filename or options.target))
        fail(f"{where}: {error.strerror or error}; once that is mended, the same command goes on", code=1)
    except KeyboardInterrupt:
        fail("stopped; the same command goes on", code=130)
    for error in copied.errors[:MOST_NAMED]:
        print("error:", error, file=sys.stderr)
    if copied.errors:
        fail(
            f"{len(copied.errors):,} of {len(copies):,} images cannot be copied: put readable files in their places, "
            "and run the same command again",
            code=1,
        )


def _checked(options: Options) -> tuple[DataInfo, Path]:
    """What is to be copied, and where to. Raises UsageError or DataError, in a line, for what cannot be done."""
    for name, value, most in (
        ("short-side", options.short_side, None),
        ("quality", options.quality, 100),
        ("workers", options.workers, None),
    ):
        if value is not None and not 1 <= value <= (most or value):
            raise UsageError(f"--{name} {value}: at {'least 1' if value < 1 else f'most {most}'}")
    for name, value in (("SOURCE", options.source), ("TARGET", options.target)):
        if not value:
            raise UsageError(f"{name} names nothing")
    info = locate("imagefolder", options.source)
    if info.prepared:
        raise UsageError(f"{options.source} is a prepared copy itself ({info.prepared}): name the folder of its source")
    target = Path(options.target).expanduser()
    real = Path(os.path.realpath(target))
    for part in (Path(options.source).expanduser(), *info.train, *info.test):
        there = Path(os.path.realpath(part))
        if real.is_relative_to(there) or there.is_relative_to(real):
            raise UsageError(f"{target} and {part} must not lie in each other: name a folder beside them")
    return info, target


def _require_the_same(target: Path, prepared: Preparation, options: Options) -> Mark | None:
    """What TARGET says of itself; None for a new folder. Raises UsageError where it is of something else."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is not a folder")
    mark = read_mark(target)
    if mark is None:
        others = sorted(e for e in os.listdir(target) if not is_left_out(e)) if target.is_dir() else []
        if others:
            raise UsageError(f"{target} holds {others[0]}, which is not of a prepared copy: name a new or empty folder")
        return None
    there = mark.prepared
    if there.source != prepared.source:
        raise UsageError(f"{target} is a copy of other images than those of {options.source}: name another folder")
    for flag, was, wanted in (
        ("--short-side", there.short_side, prepared.short_side),
        ("--quality", there.quality, prepared.quality),
    ):
        if was != wanted:
            raise UsageError(f"{target} was begun with {flag} {was}, not {wanted}: give {was}, or name another folder")
    return mark


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Make the folder and hold it. Raises UsageError where another process fills it, and OSError."""
    make_folder(target)
    file = target / LOCK
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process fills {target}: wait for it, or name another folder") from None
        except OSError:  # a file system that has no locks
            pass
        open_to_group(file)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def _fill(target: Path, mark: Mark, copies: list[Copy], options: Options) -> Copied:
    """Copy what is missing; mark the folder before the first image, and once the last one is on disk.

    Raises DataError where images are missing all the same, and OSError where something cannot be written.
    """
    started = time.monotonic()
    if not mark.finished:
        write_mark(target, mark)
    parts = copy_images(
        copies, target, short_side=options.short_side, quality=options.quality, workers=options.workers or _cpus()
    )
    with contextlib.closing(parts):
        copied = _followed(parts, len(copies))
    if not copied.errors and not mark.finished:
        os.sync()
        if (n := n_copied(target)) != len(copies):
            raise DataError(
                f"{target} holds {n:,} images, not {len(copies):,}: if its file system takes a.JPG and a.jpg for one "
                "name, name a folder on another one"
            )
        write_mark(target, replace(mark, finished=True))
    there = f" ({copied.there:,} of them were there)" if copied.there else ""
    print(
        f"{shown(str(target))}: {copied.images:,} images{there}, {_spoken_bytes(copied.bytes_before)} before, "
        f"{_spoken_bytes(copied.bytes_after)} after, {time.monotonic() - started:.0f} s"
    )
    return copied


def _followed(parts: Iterable[Copied], n_images: int) -> Copied:
    """All parts together; on a terminal a line says how far it is."""
    copied, started, said, width = Copied(), time.monotonic(), 0.0, 0
    for part in parts:
        copied.add(part)
        now = time.monotonic()
        if sys.stdout.isatty() and now - said > 0.5:
            rate = (copied.images - copied.there) / (now - started)
            line = f"{copied.images:,} of {n_images:,} images, {rate:,.0f} images/s"
            if rate:
                line += f", {_spoken_seconds((n_images - copied.images) / rate)} left"
            print(f"\r{line:<{width}}", end="", flush=True)
            said, width = now, len(line)
    if width:
        print(f"\r{'':<{width}}\r", end="", flush=True)
    return copied


def _cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spoken_seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _spoken_bytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.2f} MB"


if __name__ == "__main__":
    main()
