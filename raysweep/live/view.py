"""Shows a sweep to the user who started it: as a table that stays at the bottom of the terminal, or as plain lines."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from raysweep.experiment import LOADER_BOUND
from raysweep.live.formatting import format_summary, format_time_left
from raysweep.live.state import SweepState
from raysweep.live.table import Table
from raysweep.planning import PlannedRun

REFRESHES = 2.0
"""How often per second the table is drawn again."""
SUMMARY_EVERY = 60.0
"""The least number of seconds between two summaries among plain lines."""


class View(Protocol):
    """Something that shows a sweep."""

    def start(self, state: Callable[[], SweepState]) -> None:
        """Begin to show the sweep, whose current state `state` returns."""

    def line(self, run: PlannedRun, text: str, *, notable: bool) -> None:
        """Show a line about a run. A line that is not `notable` says nothing that is not in the state as well."""

    def close(self) -> None:
        """Show the last state, and leave it in sight."""


def choose_view() -> View:
    """A table if standard output is a terminal that can redraw it, plain lines otherwise."""
    return TableView() if can_redraw() else LinesView()


def can_redraw() -> bool:
    """Whether standard output is a terminal that can move its cursor, shows Unicode, and is not one of a CI service."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return sys.stdout.isatty() and unicode and not dumb and not os.environ.get("CI")


class Terminal(Console):
    """A console that never hides the cursor, because a process that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        return False


def live_table(table: Table, console: Console) -> Live:
    """The table, drawn again in place while it is live; what is printed meanwhile scrolls above it."""
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
            self._print(", ".join(filter(None, [format_summary(state), format_time_left(state, now)])))

    def close(self) -> None:
        """Do nothing: every line has already been printed."""

    def _print(self, text: str) -> None:
        print(f"[{self._clock() - self._started:5.0f} s] {text}", flush=True)


class TableView:
    """Keeps the table at the bottom of the terminal; notable lines, and all that others print, scroll above it."""

    def __init__(self) -> None:
        self._console = Terminal()
        self._live: Live | None = None
        self._started = time.time()

    def start(self, state: Callable[[], SweepState]) -> None:
        self._live = live_table(Table(state), self._console)
        self._live.start()

    def line(self, run: PlannedRun, text: str, *, notable: bool) -> None:
        if notable:
            elapsed = time.time() - self._started
            message = f"[{elapsed:5.0f} s] {run.experiment.name} seed {run.config.seed}  {text}"
            self._console.print(Text(message))

    def close(self) -> None:
        if self._live:
            self._live.stop()


def start_text(run: PlannedRun, report: Mapping[str, Any]) -> str:
    """The line for a run's report of its start."""
    if at := report.get("resumed_at"):
        phase, epoch, step = at
        return f"goes on after {phase} epoch {epoch}{f' and {step} steps' * bool(step)}"
    workers = f"{run.num_workers} worker{'s' * (run.num_workers > 1)}"
    samples = report.get("actual_train_samples")
    return f"starts: {workers}" if samples is None else f"starts: {samples} training images, {workers}"


def epoch_text(report: Mapping[str, Any]) -> str:
    """The line for a run's report of an epoch."""
    parts = [f"{report['phase']} {report['epoch']}/{report['epochs']:g}"]
    for name, text in (("train_loss", "loss {:.4f}"), ("val_acc", "val acc {:.2f}")):
        if name in report:
            parts.append(text.format(report[name]))
    parts.append(f"{report['images_per_second']:.0f} images/s")
    if report.get("data_wait", 0.0) >= LOADER_BOUND:
        parts.append(f"{report['data_wait']:.0f} % waiting for images")
    return "  ".join(parts)
