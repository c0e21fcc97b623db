"""Tells what lies in RESULTS/records: records, damaged ones, files that cannot be read, and copies of records.

Programs that synchronise folders keep both versions of a file that changed in two places: `NAME (conflicted copy).json`
(Dropbox, Nextcloud), `NAME.sync-conflict-20260102-030405-ABCDEFG.json` (Syncthing), `NAME 2.json` (iCloud), and macOS
leaves `._NAME.json`. A record is named after its run, so whatever has another name is such a copy: it counts for
nothing, and is left where it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysweep.experiment import require_name
from raysweep.ledger import durable
from raysweep.ledger.reading import UnreadableError, names_in, read_file

Record = dict[str, Any]


def data_set_of(record: Mapping[str, Any]) -> str:
    """What people are told that a run's data are: `imagenet`, or `imagenet (short side 400, quality 95)` where the
    trainable says that they were prepared beforehand. Runs whose data are called otherwise are not compared."""
    parts = [part for name in ("results", "facts") if isinstance(part := record.get(name), dict)]
    prepared = next((text for part in parts if isinstance(text := part.get("prepared"), str) and text), "")
    return f"{record.get('dataset')}{f' ({prepared})' if prepared else ''}"


PARTS = {"run", "key", "status", "config", "results"}
"""What every record has."""
ENDING = ".json"


@dataclass(kw_only=True, slots=True)
class RecordFiles:
    """What the files of a folder of records were found to be, apart from records, when it was last read."""

    damaged: list[str] = field(default_factory=list)
    """The names of damaged records."""
    copies: list[str] = field(default_factory=list)
    """The names of copies of records."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why files cannot be read, by their paths."""

    def read(self, folder: Path) -> Iterator[Record]:
        """All sound records that can be read, by name. The attributes are complete once the last one was taken."""
        for name, content, is_named_like_a_copy in self.contents(folder):
            record = _record_of(content)
            if record and record["run"] == _stem(name):
                yield record
            elif record or is_named_like_a_copy:
                self.copies.append(name)
            else:
                self.damaged.append(name)

    def contents(self, folder: Path) -> Iterator[tuple[str, bytes, bool]]:
        """The name and content of each file that may be a record, and whether its name is that of a copy, too."""
        try:
            names = [name for name in names_in(folder) if name.endswith(ENDING)]
        except UnreadableError as error:
            self.unreadable |= error.reasons
            return
        for name in names:
            if not _is_name_of_run(_stem(name)):
                self.copies.append(name)
                continue
            try:
                content = read_file(folder / name)
            except UnreadableError as error:
                if _is_named_like_a_copy(name, names):
                    self.copies.append(name)
                else:
                    self.unreadable |= error.reasons
                continue
            if content is not None:  # else it was removed meanwhile
                yield name, content, _is_named_like_a_copy(name, names)


def read_record(file: Path) -> Record | None:
    """The content of a record; None if it is missing or damaged. Raises UnreadableError where it cannot be read."""
    record = _record_of(read_file(file) or b"")
    return record if record and record["run"] == _stem(file.name) else None


def _record_of(content: bytes) -> Record | None:
    record = durable.unsealed(content)
    return record if record and record.keys() >= PARTS else None


def _stem(name: str) -> str:
    return name.removesuffix(ENDING)


def _is_name_of_run(stem: str) -> bool:
    try:
        require_name(stem, "run", longest=200)
    except ValueError:
        return False
    return True


def _is_named_like_a_copy(name: str, names: Sequence[str]) -> bool:
    """Whether a file whose content does not say it is a copy, by its name and those of the files beside it."""
    stem = _stem(name)
    if re.search(r"\.sync-conflict-\d{8}-\d{6}", stem):
        return True
    beside = [_stem(other) for other in names if other != name]
    return any(stem.startswith(other) and not stem[len(other)].isalnum() for other in beside)
