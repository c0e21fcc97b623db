"""Says whether a folder of images is a copy that `python -m trainables.data.prepare` made, and whether it is finished.

Such a copy holds a file, `prepared-by-raysweep.json`, that says from what and how its images are made. No torch.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from trainables.data.index import listing
from trainables.data.info import IMAGE_SUFFIXES, DataError, Preparation
from trainables.files import write_atomically

MARK = "prepared-by-raysweep.json"
"""Name of the file beside the class folders, or beside train/ and val/, of a copy."""
FORMAT = Preparation.__dataclass_fields__["format"].default
COMMAND = "python -m trainables.data.prepare"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What the file in a copy says."""

    prepared: Preparation
    n_images: int
    """How many images the source has, and the copy will have."""
    finished: bool
    """Whether all of them are there."""


def preparation_of(folder: Path) -> Preparation | None:
    """How the images of a data folder, or of a split of one, were prepared; None where they were not.

    It may be a copy, a split of one, or hold links to splits or classes of one. Raises DataError for a copy that is not
    finished, or whose mark cannot be read.
    """
    for home in _homes(folder):
        if mark := read_mark(home):
            if not mark.finished:
                raise DataError(
                    f"{home} is a copy that `{COMMAND}` has not finished ({n_copied(home):,} of {mark.n_images:,} "
                    "images): run it again"
                )
            return mark.prepared
    return None


def read_mark(home: Path) -> Mark | None:
    """The mark of a copy; None without one. Raises DataError for one that is damaged, or of a newer version."""
    file = home / MARK
    try:
        said = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror})") from None
    except ValueError:
        raise DataError(f"{file} is damaged; prepare another copy") from None
    kinds = {f.name: f.type for f in (*fields(Preparation), *fields(Mark)) if f.name != "prepared"}
    if not isinstance(said, dict) or any(type(said.get(name)) is not kind for name, kind in kinds.items()):
        raise DataError(f"{file} is damaged; prepare another copy")
    if said["format"] > FORMAT:
        raise DataError(f"{file} is of a newer version of raysweep (format {said['format']}; this one reads {FORMAT})")
    made = Preparation(**{f.name: said[f.name] for f in fields(Preparation)})
    return Mark(prepared=made, n_images=said["n_images"], finished=said["finished"])


def write_mark(home: Path, mark: Mark) -> None:
    """Mark a folder as a copy. Raises OSError."""
    said = {**asdict(mark.prepared), "n_images": mark.n_images, "finished": mark.finished}
    text = json.dumps(said, indent=1).encode() + b"\n"
    write_atomically(home / MARK, lambda stream: stream.write(text) and None)


def n_copied(home: Path) -> int:
    """How many images lie below a folder. Raises OSError."""
    return sum(name.lower().endswith(IMAGE_SUFFIXES) for _, _, names, _ in listing(home) for name in names)


def _homes(folder: Path) -> Iterator[Path]:
    """Where the mark of the copy may be that a folder is, is a split of, or is made of by links."""
    yield folder
    yield Path(os.path.realpath(folder)).parent
    with os.scandir(folder) as entries:
        links = sorted(entry.path for entry in entries if entry.is_symlink())
    around = [Path(os.path.realpath(link)).parent for link in links]
    yield from dict.fromkeys(home for parent in around for home in (parent, parent.parent))
