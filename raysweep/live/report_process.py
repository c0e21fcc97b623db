"""Keeps RESULTS/report.html up to date while a sweep runs, by processes of its own that never stand in its way."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from raysweep.ledger import FAILED, SETTLED, Ledger, Record
from raysweep.live.section import live_section
from raysweep.messages import reason_of
from raysweep.modules import root
from raysweep.planning import PlannedRun

EVERY = 60.0
"""The least number of seconds between the starts of two refreshes, and the most while nothing has changed."""
PAUSE_FACTOR = 10
"""The next refresh starts no sooner than so many times the seconds that the last one took."""
LAST_WITHIN, LAST_WITHIN_INTERRUPTED = 30.0, 10.0
"""Seconds that the last refresh has, and those that it has where a signal has asked the sweep to end."""

ReportCommand = Callable[[str], Sequence[str]]
"""Returns the words of a command that refreshes the report of the results at a location.

It reads from standard input the section of the page that shows what runs now, which is empty where nothing runs.
"""


class LiveReport:
    """A follower of the sweep that has its report refreshed as runs end.

    A failure is said once, and changes nothing else. The report is refreshed in results folders only.
    """

    def __init__(
        self, ledger: Ledger, command: ReportCommand, *, every: float = EVERY, say: Callable[[str], None] = print
    ) -> None:
        self._ledger, self._command, self._every, self._say = ledger, command, every, say
        self._asked = threading.Event()
        self._has_said = False

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """Do nothing: what runs report is in the live table."""

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """Have the report refreshed, as soon as it may be, where the run has left a record."""
        if status in (*SETTLED, FAILED):
            self._asked.set()

    @contextlib.contextmanager
    def refreshed(self) -> Iterator[None]:
        """Within this context the report is refreshed as runs end, and its live table about once a minute."""
        if self._ledger.store.is_remote:
            where = self._ledger.location
            self._say_once(f"no report is refreshed at {where}; python -m analysis {where} --out DIR writes one")
            yield
            return
        one = Refreshes(self._command, self._ledger.location)
        thread = threading.Thread(target=self._again_and_again, args=(one,), daemon=True, name="report")
        thread.start()
        try:
            yield
        finally:
            one.end()
            self._asked.set()
            thread.join(5)

    @contextlib.contextmanager
    def refreshed_at_last(self, *, interrupted: bool) -> Iterator[None]:
        """Refresh the report for the last time, beside what is done in this context, at whose end it is waited for.

        It has few seconds from then on where a signal has asked the sweep to end.
        """
        if self._ledger.store.is_remote:
            yield
            return
        one = Refreshes(self._command, self._ledger.location)
        thread = threading.Thread(target=self._once, args=(one, ""), daemon=True, name="last report")
        thread.start()
        try:
            yield
            within = LAST_WITHIN_INTERRUPTED if interrupted else LAST_WITHIN
            thread.join(within)
            if thread.is_alive():
                self._warn(f"it takes more than {within:g} s")
        finally:
            one.end()
            thread.join(5)

    def _again_and_again(self, one: "Refreshes") -> None:
        """Refresh when a run has ended, and while none ends every so often for the sake of the live table."""
        began, pause = time.monotonic() - self._every, self._every
        while True:
            self._asked.wait(pause)
            if one.has_ended.wait(max(0.0, began + pause - time.monotonic())):
                return
            self._asked.clear()
            began = time.monotonic()
            self._once(one, live_section(self._ledger), in_the_background=True)
            pause = max(self._every, PAUSE_FACTOR * (time.monotonic() - began))

    def _once(self, one: "Refreshes", live: str, *, in_the_background: bool = False) -> None:
        try:
            if why := one.refresh(live, in_the_background=in_the_background):
                self._warn(why)
        except OSError as error:
            self._warn(reason_of(error))

    def _warn(self, why: str) -> None:
        self._say_once(f"report.html is not up to date ({why}); the results are recorded all the same")

    def _say_once(self, line: str) -> None:
        """Say a line, but no second one in the course of a sweep."""
        if not self._has_said:
            self._has_said = True
            self._say(line)


class Refreshes:
    """Refreshes of the results at a location, each in a process, until they are ended."""

    def __init__(self, command: ReportCommand, location: str) -> None:
        self._command, self._location = command, location
        self._process: subprocess.Popen[bytes] | None = None
        self.has_ended = threading.Event()

    def refresh(self, live: str, *, in_the_background: bool = False) -> str:
        """Refresh the report, with this section of what runs, and wait for it. Returns what went wrong, or ""."""
        with tempfile.TemporaryFile() as errors:
            with start(self._command, self._location, errors) as process:
                self._process = process
                if self.has_ended.is_set():
                    process.terminate()
                if in_the_background:
                    step_back(process.pid)
                process.communicate(live.encode(errors="replace"))
            return "" if self.has_ended.is_set() else what_failed(process.returncode, errors)

    def end(self) -> None:
        """End the process that refreshes now, and let no other begin."""
        self.has_ended.set()
        if self._process and self._process.poll() is None:
            self._process.terminate()


def start(command: ReportCommand, location: str, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a refresh of the results at a location, with the modules that this process imports.

    It reads the live section from its standard input. Signals of the terminal do not reach it.
    """
    return subprocess.Popen(
        list(command(location)),
        cwd=root(),
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )


def what_failed(code: int, errors: IO[bytes]) -> str:
    """The last line that a process has written to a file for its errors; "" if its exit code is 0."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return (lines[-1].removeprefix("error: ") if lines else f"exit code {code}") if code else ""


BACKGROUND = (("autogroup", "10"), ("oom_score_adj", "1000"))
"""What is written of a process to /proc: the share of its session, by which Linux may divide the processors, and that
it is the first to go where memory is short."""


def step_back(pid: int) -> None:
    """Let a process have little more than what others leave of the processors and of memory."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no priorities of this kind
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        for name, value in BACKGROUND:
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/{name}").write_text(value)
