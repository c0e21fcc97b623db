"""How a sweep is shown to whoever started it: a table that lives at the bottom of a terminal, else plain lines."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from raysweep.live.spoken import summary, time_left
from raysweep.live.state import SweepState
from raysweep.live.table import Table
from raysweep.planning import PlannedRun

REFRESHES = 2.0
"""Of the table, per second."""
SUMMARY_EVERY = 60.0
"""Seconds between two summaries among plain lines, at least."""


class View(Protocol):
    """What shows a sweep."""

    def start(self, state: Callable[[], SweepState]) -> None:
        """Begin to show it."""

    def line(self, run: PlannedRun, text: str, *, notable: bool) -> None:
        """Say something about a run; what is not `notable` is also seen in the state."""

    def close(self) -> None:
        """Leave the last state standing."""


def choose_view() -> View:
    """The table where standard output is a terminal that can redraw, else lines."""
    return TableView() if can_redraw() else LinesView()


def can_redraw() -> bool:
    """Whether standard output is a terminal that somebody may look at, and that knows the signs of the table."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return sys.stdout.isatty() and unicode and not dumb and not os.environ.get("CI")


class Terminal(Console):
    """A console that leaves the cursor visible: a process that is killed could not bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        return False


def live(table: Table, console: Console) -> Live:
    """The table, redrawn in place; what is printed meanwhile scrolls above it."""
    return Live(get_renderable=lambda: table, console=console, refresh_per_second=REFRESHES, vertical_overflow="crop")


class LinesView:
    """Prints lines such as `[   42 s] C seed 42  head 3/20  val acc 61.20  1520 images/s`, and at times a summary."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._started = clock, clock()
        self._summed_up = self._started
        self._state: Callable[[], SweepState] | None = None

    def start(self, state: Callable[[], SweepState]) -> None:
        self._state = state

    def line(self, run: PlannedRun, text: str, *, notable: bool) -> None:
        self._print(f"{run.experiment.name} seed {run.config.seed}  {text}")
        now = self._clock()
        if self._state and now - self._summed_up >= SUMMARY_EVERY:
            self._summed_up, state = now, self._state()
            self._print(", ".join(filter(None, [summary(state), time_left(state, now)])))

    def close(self) -> None:
        """Nothing is left to be said."""

    def _print(self, text: str) -> None:
        print(f"[{self._clock() - self._started:5.0f} s] {text}", flush=True)


class TableView:
    """Keeps the table at the bottom of the terminal; notable lines, and all that is printed, scroll above it."""

    def __init__(self) -> None:
        self._console = Terminal()
        self._live: Live | None = None
        self._started = time.time()

    def start(self, state: Callable[[], SweepState]) -> None:
        self._live = live(Table(state), self._console)
        self._live.start()

    def line(self, run: PlannedRun, text: str, *, notable: bool) -> None:
        if notable:
            elapsed = time.time() - self._started
            said = f"[{elapsed:5.0f} s] {run.experiment.name} seed {run.config.seed}  {text}"
            self._console.print(Text(said))

    def close(self) -> None:
        if self._live:
            self._live.stop()


def said_at_start(run: PlannedRun, report: Mapping[str, Any]) -> str:
    """What a run's first report says."""
    if at := report.get("resumed_at"):
        phase, epoch, step = at
        return f"goes on after {phase} epoch {epoch}{f' and {step} steps' * bool(step)}"
    samples, workers = report.get("actual_train_samples"), run.num_workers
    return f"starts: {samples} training images, {workers} worker{'s' * (workers > 1)}"


def said_after_epoch(report: Mapping[str, Any]) -> str:
    """What the report of an epoch says."""
    parts = [f"{report['phase']} {report['epoch']}/{report['epochs']:g}"]
    for name, text in (("train_loss", "loss {:.4f}"), ("val_acc", "val acc {:.2f}")):
        if name in report:
            parts.append(text.format(report[name]))
    parts.append(f"{report['images_per_second']:.0f} images/s")
    return "  ".join(parts)
