"""Writes event files for TensorBoard, with tensorboardX.

    RESULTS/tensorboard/imagenet/A-s42-1bb59207/      one file for each time that the run started or went on
    tensorboard --logdir RESULTS/tensorboard/imagenet

Results of different datasets are not comparable, so each dataset has a folder of its own. With such a folder,
TensorBoard shows runs by name in its list of runs and in its HPARAMS tab, the latter with every field that can change
their numbers.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter  # type: ignore[import-untyped]
from tensorboardX.proto import event_pb2  # type: ignore[import-untyped]
from tensorboardX.summary import hparams, scalar  # type: ignore[import-untyped]

from raysweep.ledger import FINISHED, Ledger, data_set_of, make_folder, open_to_group
from raysweep.planning import PlannedRun

FLUSH_EVERY = 2.0
"""Seconds between two flushes of a run's events to disk; runs that are shorter flush only at their end."""


class EventFiles:
    """A sink of `Tracking` that raises OSError if the disk cannot be written to."""

    label = "TensorBoard"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._writers: dict[str, tuple[EventsWriter, Path]] = {}
        self._flushed: dict[str, float] = {}

    def start(self, run: PlannedRun, step: int, fields: Mapping[str, Any]) -> None:
        """Begin a new file for a run; TensorBoard then no longer shows events of earlier files at later steps."""
        self._close(run.name)
        folder = self._ledger.folder / "tensorboard" / data_set_of(run.record()) / run.name
        make_folder(folder)
        before = set(folder.iterdir())
        writer = EventsWriter(
            str(folder / "events"), f".{time.time_ns()}"
        )  # TensorBoard reads files in the order of their names
        (file,) = set(folder.iterdir()) - before
        open_to_group(file, folder)
        self._writers[run.name] = writer, file
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        writer.write_event(event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=restart))
        # No summary of the whole experiment is written: with one, TensorBoard would show only the fields and metrics of
        # the run that it happens to read first; without, it collects those of all runs and finds out which ones differ.
        _, session, _ = hparams({name: _hparam_value(value) for name, value in fields.items()}, {})
        writer.write_event(event_pb2.Event(wall_time=time.time(), step=step, summary=session))
        self._flushed[run.name] = time.monotonic()

    def metrics(self, run: PlannedRun, step: int, values: Mapping[str, float]) -> None:
        """Write the values that a run has measured at a step."""
        writer, _ = self._writers[run.name]
        for name, value in values.items():
            writer.write_event(event_pb2.Event(wall_time=time.time(), step=step, summary=scalar(name, value)))
        if time.monotonic() - self._flushed[run.name] >= FLUSH_EVERY:
            writer.flush()
            self._flushed[run.name] = time.monotonic()

    def end(self, run: PlannedRun, status: str) -> None:
        """Close the file of a run, and mark the run as ended if it has finished."""
        if status == FINISHED and run.name in self._writers:
            _, _, ended = hparams({}, {})
            self._writers[run.name][0].write_event(event_pb2.Event(wall_time=time.time(), summary=ended))
        self._close(run.name)

    def close(self) -> None:
        """Close all files that are open."""
        for name in list(self._writers):
            self._close(name)

    def _close(self, name: str) -> None:
        if name in self._writers:
            writer, file = self._writers.pop(name)
            writer.close()
            self._ledger.store.share(str(file.relative_to(self._ledger.folder)))


def _hparam_value(value: Any) -> Any:
    """A field's value in a type that TensorBoard accepts; None becomes "none", since it would be left out."""
    return value if isinstance(value, bool | int | float | str) else str(value).lower()
