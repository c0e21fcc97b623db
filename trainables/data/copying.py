"""Copies the images of a folder, the large ones resized, in threads; what is there already is left as it is.

The copy of an image appears under its name when it is whole, so what was cut off at any moment goes on where it was.
Threads are enough, since reading, decoding, resizing and encoding let go of the interpreter.
"""

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.data.decoding import read_file, resize, whole_image
from trainables.data.info import DataError, DataInfo, image_files
from trainables.files import make_folder
from trainables.messages import first_line

JPEG_NAME = re.compile(r"\.jpe?g$", re.IGNORECASE)
AT_ONCE = 32
"""Images that a thread takes at a time."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An image to be copied."""

    source: str
    """Path of the image."""
    names: tuple[str, ...]
    """Path of the copy in its folder; of an image that is no JPEG by its name, then the one that it has as a JPEG."""


@dataclass(kw_only=True, slots=True)
class Copied:
    """What has been copied of some images."""

    images: int = 0
    there: int = 0
    """How many of them had been copied before."""
    bytes_before: int = 0
    bytes_after: int = 0
    errors: tuple[str, ...] = ()
    """A line for each image that cannot be copied, which names it."""

    def add(self, more: "Copied") -> None:
        """Count other images as well."""
        self.images += more.images
        self.there += more.there
        self.bytes_before += more.bytes_before
        self.bytes_after += more.bytes_after
        self.errors += more.errors


def copies_of(info: DataInfo, short_side: int) -> list[Copy]:
    """All images of a folder, whose copies keep names and folders, but that a resized a.png becomes a.jpg.

    Raises DataError where two copies would have one name.
    """
    copies = []
    for part in (*info.train, *info.test):
        above = f"{part.name}{os.sep}" if info.layout == "folders" else ""
        for path in image_files(part, info.classes).paths:
            name = above + path.removeprefix(f"{part}{os.sep}")
            names = (name,) if JPEG_NAME.search(name) else (name, f"{os.path.splitext(name)[0]}.jpg")
            copies.append(Copy(path, names))
    return _with_names_of_their_own(copies, short_side)


def _with_names_of_their_own(copies: list[Copy], short_side: int) -> list[Copy]:
    """The copies; of those that may have the name of another, what they are called is settled by their size."""
    claims: dict[str, list[int]] = defaultdict(list)
    for i, copy in enumerate(copies):
        claims[copy.names[-1]].append(i)
    settled = list(copies)
    for name, claimants in claims.items():
        if len(claimants) == 1:
            continue
        named = []
        for i in claimants:
            if copies[i].names[0] != name and not _is_larger(copies[i].source, short_side):
                settled[i] = Copy(copies[i].source, copies[i].names[:1])
            else:
                named.append(copies[i].source)
        if len(named) > 1:
            raise DataError(f"{named[0]} and {named[1]} would both become {name}: rename one of them")
    return settled


def _is_larger(path: str, short_side: int) -> bool:
    """Whether an image is to be resized; one that cannot be read is not."""
    with contextlib.suppress(DataError):
        return min(whole_image(read_file(path), name=path).shape[:2]) > short_side
    return False


def copy_images(
    copies: Sequence[Copy], target: Path, *, short_side: int, quality: int, workers: int
) -> Generator[Copied, None, None]:
    """Copy images into the folder `target` in `workers` threads; yields what has been copied, part by part.

    Raises OSError where the copies cannot be written.
    """
    for folder in sorted({os.path.dirname(copy.names[0]) for copy in copies}):
        make_folder(target / folder)

    def copy_some(first: int) -> Copied:
        part = Copied()
        for number in range(first, min(first + AT_ONCE, len(copies))):
            try:
                part.add(_copy_one(copies[number], target, f".{number}.part", short_side, quality))
            except DataError as error:
                part.add(Copied(errors=(str(error),)))
        return part

    pool = ThreadPoolExecutor(workers, thread_name_prefix="copier")
    try:
        yield from pool.map(copy_some, range(0, len(copies), AT_ONCE))
    finally:
        pool.shutdown(cancel_futures=True)


def _copy_one(copy: Copy, target: Path, temporary: str, short_side: int, quality: int) -> Copied:
    """Copy an image, unless it is there. A file without content is not: a machine that fails may leave that.

    Raises DataError for an image that cannot be read, and OSError where the copy cannot be written.
    """
    for name in copy.names:
        if size := _size(target / name):
            return Copied(images=1, there=1, bytes_before=_size(Path(copy.source)), bytes_after=size)
    data = read_file(copy.source)
    resized = shrunk(data, short_side, quality, name=copy.source)
    content, name = (data, copy.names[0]) if resized is None else (resized, copy.names[-1])
    path = target / name
    beside = path.with_name(temporary)
    try:
        beside.unlink(missing_ok=True)  # what was cut off may have left it, perhaps another user's
        beside.write_bytes(content)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return Copied(images=1, bytes_before=len(data), bytes_after=len(content))


def _size(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def shrunk(data: bytes, short_side: int, quality: int, *, name: str) -> bytes | None:
    """A JPEG of an image, resized so that its shorter side has `short_side` pixels; None if it has no more of them.

    The pixels are those that training sees, and all images are decoded, so that damaged ones are found. Colours are
    kept at full resolution (4:4:4), as in most files of ImageNet: half of it would blur those once more that were
    stored so already. Raises DataError for an image that cannot be read, or is too long for a JPEG.
    """
    import simplejpeg

    pixels = whole_image(data, name=name)
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short <= short_side:
        return None
    resized = resize(pixels, round(height * short_side / short), round(width * short_side / short))
    try:
        encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(resized), quality, "RGB", "444", fastdct=False)
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{name} cannot be written as a JPEG ({first_line(error)})") from None
    return encoded
