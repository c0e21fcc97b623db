"""Shows a sweep in another process, such as a second terminal or a notebook, by the status file that it writes."""

import contextlib
import io
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raysweep.ledger import Ledger, UnreadableError, open_to_watch
from raysweep.live.formatting import format_clock_time
from raysweep.live.state import ACTIVE, HEARTBEAT_EVERY, WAITING, SweepState, read_state

if TYPE_CHECKING:
    from raysweep.live.table import Table

LOOK_EVERY = 1.0
"""Seconds between two looks at what the sweep has written."""
WIDTH, HEIGHT = 130, 60
"""The characters in a line of a notebook, and the most lines of a table that is not redrawn in a terminal."""


def watch_sweep(results: str | os.PathLike[str] = "results", *, follow: bool = True) -> None:
    """Show the table of the sweep in a results folder (or URL), in a terminal or a notebook, until the sweep ends.

    The table is shown only once with `follow=False`, if no sweep is running, and if standard output is neither of the
    two. Raises LedgerError if no sweep has ever run there, and UnreadableError, once it has shown what it can, for a
    file that cannot be read.
    """
    from rich.console import Console

    from raysweep.live.table import Table
    from raysweep.live.view import can_redraw

    with open_to_watch(results) as ledger:
        try:
            seen = observe(ledger)
        except UnreadableError:
            print(_without_status(ledger))
            raise
        in_notebook = Console().is_jupyter
        table = Table(lambda: seen.state, notice=lambda: seen.notice)
        if not in_notebook and not (follow and seen.is_alive and can_redraw()):
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="replace")  # the locale may lack characters of the table
            known = os.isatty(1) or os.environ.get("COLUMNS", "").isdigit()
            Console(width=None if known else 160, height=HEIGHT).print(table)
            seen.require_readable()
            return
        with (
            contextlib.suppress(KeyboardInterrupt),
            _in_notebook(table) if in_notebook else _in_terminal(table) as show,
        ):
            while follow and seen.is_alive:
                time.sleep(LOOK_EVERY)
                seen = observe(ledger)
                show()
        seen.require_readable()


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What another process can tell about a sweep."""

    state: SweepState
    """The last state that was written; if the sweep was killed, its running runs count as waiting to go on."""
    is_alive: bool
    notice: str
    """The line below the table: where the results are, and how the sweep is doing."""
    unreadable: UnreadableError | None = None
    """Why it is not known who holds the results folder, if so."""

    def require_readable(self) -> None:
        """Raises UnreadableError where something could not be read."""
        if self.unreadable:
            raise self.unreadable


def observe(ledger: Ledger, clock: Callable[[], float] = time.time) -> Observation:
    """Read a sweep's last state, and find out whether it still runs.

    Raises LedgerError if no sweep has ever run, and UnreadableError if its last state cannot be read.
    """
    state, now = read_state(ledger), clock()
    try:
        holder = ledger.store.holder()
    except UnreadableError as error:
        is_alive = not state.ended and now - state.written <= 3 * HEARTBEAT_EVERY
        notice = f"{ledger.location}: whether a sweep runs is not known; {error}"
        return Observation(state=state, is_alive=is_alive, notice=notice, unreadable=error)
    at = format_clock_time(state.ended or state.written, now)
    goes_on = "; the same command goes on" if any(row.state in (WAITING, *ACTIVE) for row in state.run_states) else ""
    if state.ended:
        why = f": {state.why_ended}" if state.why_ended else ""
        notice = f"{ledger.location}: ended at {at}{why}{goes_on}"
    elif holder == state.holder:
        silent = now - state.written > 3 * HEARTBEAT_EVERY
        notice = f"{ledger.location}: {holder}{f' has not been heard of since {at}' * silent}"
        return Observation(state=state, is_alive=True, notice=notice)
    else:
        rows = [replace(row, state=WAITING) if row.state in ACTIVE else row for row in state.run_states]
        state = replace(state, ended=state.written, run_states=rows)
        notice = f"{ledger.location}: was killed after {at}{goes_on}"
    if holder and holder != state.holder:
        notice = f"{ledger.location}: {holder} is about to begin; what the sweep before it left"
    return Observation(state=state, is_alive=False, notice=notice)


def _without_status(ledger: Ledger) -> str:
    """What is known of a sweep whose last state cannot be read."""
    try:
        holder = ledger.store.holder() or "no sweep holds it"
    except UnreadableError:
        holder = "whether a sweep runs is not known"
    counts = Counter(record["status"] for record in ledger.readable_records())
    ended = ", ".join(f"{n} {status}" for status, n in counts.items()) or "none"
    left_out = len(ledger.files.unreadable)
    return f"{ledger.location}: {holder}; recorded runs: {ended}" + f" ({left_out} unreadable)" * bool(left_out)


@contextlib.contextmanager
def _in_terminal(table: "Table") -> Iterator[Callable[[], object]]:
    """Show the table in a terminal; yields the function that draws it again."""
    from raysweep.live.view import Terminal, live_table

    with live_table(table, Terminal()) as drawn:
        yield drawn.refresh


@contextlib.contextmanager
def _in_notebook(table: "Table") -> Iterator[Callable[[], object]]:
    """Show the table in a notebook; yields the function that draws it again."""
    from IPython import display

    handle = display.display(display.HTML(as_html(table)), display_id=True)  # type: ignore[no-untyped-call]
    yield lambda: handle.update(display.HTML(as_html(table)))  # type: ignore[no-untyped-call]


def as_html(table: "Table") -> str:
    """The table as a fragment of HTML."""
    from rich.console import Console

    console = Console(record=True, file=io.StringIO(), width=WIDTH, height=HEIGHT, force_jupyter=False)
    console.print(table)
    style = "font-family: Menlo, 'DejaVu Sans Mono', Consolas, monospace; line-height: 1.25; white-space: pre"
    return console.export_html(inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>')
