"""Event files for TensorBoard, as tensorboardX writes them.

    RESULTS/tensorboard/imagenet/A-s42-1bb59207/      one file for each time that the run started or went on
    tensorboard --logdir RESULTS/tensorboard/imagenet

Results of different datasets are not comparable, so each has a folder of its own. Within it, the list of runs and the
HPARAMS tab show runs by name, the latter with every field that can change their numbers.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter  # type: ignore[import-untyped]
from tensorboardX.proto import event_pb2  # type: ignore[import-untyped]
from tensorboardX.summary import hparams, scalar  # type: ignore[import-untyped]

from raysweep.ledger import FINISHED, Ledger
from raysweep.planning import PlannedRun

FLUSH_EVERY = 2.0
"""Seconds within which what a run writes is brought to disk once: short runs do so at their end alone."""


class EventFiles:
    """A sink of `Tracking`; raises OSError where the disk cannot be written to."""

    label = "TensorBoard"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open: dict[str, tuple[EventsWriter, Path]] = {}
        self._flushed: dict[str, float] = {}

    def start(self, run: PlannedRun, step: int, fields: Mapping[str, Any]) -> None:
        """A run begins, or goes on after a step: what was written of later ones is not shown any more."""
        self._close(run.name)
        folder = self._ledger.folder / "tensorboard" / run.config.dataset / run.name
        folder.mkdir(parents=True, exist_ok=True)
        before = set(folder.iterdir())
        writer = EventsWriter(str(folder / "events"), f".{time.time_ns()}")  # in the order of their names
        (file,) = set(folder.iterdir()) - before
        self._open[run.name] = writer, file
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        writer.write_event(event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=restart))
        # Without a summary of the whole experiment TensorBoard takes the fields and metrics of all runs as columns, and
        # finds out which of them differ; with one, only those of the run that it happens to read first.
        _, session, _ = hparams({name: _spoken(value) for name, value in fields.items()}, {})
        writer.write_event(event_pb2.Event(wall_time=time.time(), step=step, summary=session))
        self._flushed[run.name] = time.monotonic()

    def metrics(self, run: PlannedRun, step: int, values: Mapping[str, float]) -> None:
        """Measurements at a step."""
        writer, _ = self._open[run.name]
        for name, value in values.items():
            writer.write_event(event_pb2.Event(wall_time=time.time(), step=step, summary=scalar(name, value)))
        if time.monotonic() - self._flushed[run.name] >= FLUSH_EVERY:
            writer.flush()
            self._flushed[run.name] = time.monotonic()

    def end(self, run: PlannedRun, status: str) -> None:
        """A run has ended with a status of its record; with "" it may go on."""
        if status == FINISHED and run.name in self._open:
            _, _, ended = hparams({}, {})
            self._open[run.name][0].write_event(event_pb2.Event(wall_time=time.time(), summary=ended))
        self._close(run.name)

    def close(self) -> None:
        """Write out what is open."""
        for name in list(self._open):
            self._close(name)

    def _close(self, name: str) -> None:
        if name in self._open:
            writer, file = self._open.pop(name)
            writer.close()
            self._ledger.store.share(str(file.relative_to(self._ledger.folder)))


def _spoken(value: Any) -> Any:
    """A field's value as TensorBoard takes it; it leaves out None."""
    return value if isinstance(value, bool | int | float | str) else str(value).lower()
