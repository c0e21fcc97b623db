"""Keeps in the cache what trainables say that runs cost, so that a plan need not import what works it out again.

What was kept holds for one device, Python, version of torch and search path, and as long as no file of any module has
changed that was loaded when it was worked out: of modules that experiments are made of by their contents, of libraries
by size and time. One file changed means that all is worked out again.
"""

import contextlib
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from raysweep.ledger import write_json
from raysweep.modules import folders, loaded
from raysweep.planning import PlannedRun
from raysweep.trainable import Costs

VERSION = 1
"""Goes up when what is kept is to be read in another way."""
MOST = 2000
"""So many costs are kept of each trainable and device, the last ones."""
STARTED = time.time()
"""Files that were changed later may not be what this process has imported."""


class KnownCosts:
    """The costs of runs of any trainables on a kind of device, read from the cache and kept there."""

    def __init__(self, cache: Path, device: str) -> None:
        self._folder, self._device = cache / "costs", device
        self._known: dict[str, dict[str, Costs]] = {}
        """By trainable, then by `_key`."""
        self._files: dict[str, dict[str, str]] = {}
        self._new: set[str] = set()

    def of(self, run: PlannedRun, config: Any) -> Costs | None:
        """What was worked out of a run with this configuration; None where that has to be done again."""
        return self._of_trainable(run.experiment.trainable).get(_key(run, config))

    def add(self, run: PlannedRun, config: Any, costs: Costs) -> None:
        """Note what has been worked out."""
        trainable = run.experiment.trainable
        self._of_trainable(trainable)[_key(run, config)] = costs
        self._new.add(trainable)

    def keep(self) -> None:
        """Write what is new into the cache, if it can be written there."""
        if self._new and (files := _files_of_modules()):
            for trainable in self._new:
                last = list(self._known[trainable].items())[-MOST:]
                content = {"files": {**self._files.get(trainable, {}), **files}, "costs": dict(last)}
                with contextlib.suppress(OSError):
                    write_json(self._file(trainable), content)
        self._new.clear()

    def _of_trainable(self, trainable: str) -> dict[str, Costs]:
        if trainable not in self._known:
            self._known[trainable] = {}
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                content = json.loads(self._file(trainable).read_bytes())
                if all(_mark(Path(file), mark) == mark for file, mark in content["files"].items()):
                    self._known[trainable] = dict(content["costs"])
                    self._files[trainable] = content["files"]
        return self._known[trainable]

    def _file(self, trainable: str) -> Path:
        what = [VERSION, trainable, self._device, version("torch"), sys.version, sys.path, folders()]
        return self._folder / f"{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]}.json"


def _key(run: PlannedRun, config: Any) -> str:
    """A hash of all that the costs of a run depend on: seeds, and where its results go, are left out."""
    fields = {k: v for k, v in dataclasses.asdict(config).items() if k not in ("seed", "save_dir")}
    what = json.dumps([fields, run.num_workers, run.facts], sort_keys=True, default=repr)
    return hashlib.sha256(what.encode()).hexdigest()[:32]


OWN = "sha256 "
"""Begins the mark of a file that counts by its contents."""


def _files_of_modules() -> Mapping[str, str]:
    """The files of all modules that this process has imported, each with its mark.

    There are none where one of an experiment's own files has changed since, or cannot be read.
    """
    found = loaded()
    own = {str(Path(folder) / name) for folder in folders() for name in found.files_in(Path(folder))}
    marks = {}
    for file in {*found.files.values(), *own}:
        try:
            if file in own and Path(file).stat().st_mtime > STARTED:
                return {}
            marks[file] = _mark(Path(file), OWN if file in own else "")
        except OSError:  # some modules of libraries name files that are not there
            if file in own:
                return {}
    return marks


def _mark(file: Path, kind: str) -> str:
    """What a file is recognised by: the hash of its contents, if it has a mark of that kind, or its size and time."""
    if kind.startswith(OWN):
        return OWN + hashlib.sha256(file.read_bytes()).hexdigest()
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
