"""Watching a sweep from elsewhere, a second terminal or a notebook, by the status that it writes."""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raysweep.ledger import Ledger, open_to_watch
from raysweep.live.spoken import clock_time
from raysweep.live.state import ACTIVE, SIGN_OF_LIFE, WAITING, SweepState, read_state

if TYPE_CHECKING:
    from raysweep.live.table import Table

LOOK_EVERY = 1.0
"""Seconds between two looks at what the sweep has written."""
WIDTH, HEIGHT = 130, 60
"""Characters in a line of a notebook, and most lines where the table does not live in a terminal."""


def watch_sweep(results: str | os.PathLike[str] = "results", *, follow: bool = True) -> None:
    """Show the table of the sweep in a results folder (or URL), in a terminal or a notebook, until the sweep ends.

    Once only with `follow=False`, where no sweep is running, and where standard output is neither. Raises LedgerError
    where there has been none.
    """
    from rich.console import Console

    from raysweep.live.table import Table
    from raysweep.live.view import can_redraw

    with open_to_watch(results) as ledger:
        seen = look(ledger)
        in_notebook = Console().is_jupyter
        table = Table(lambda: seen.state, notice=lambda: seen.notice)
        if not in_notebook and not (follow and seen.is_alive and can_redraw()):
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="replace")  # where the locale lacks the signs of the table
            Console(width=None if os.isatty(1) else 160, height=HEIGHT).print(table)
            return
        with (
            contextlib.suppress(KeyboardInterrupt),
            _in_notebook(table) if in_notebook else _in_terminal(table) as show,
        ):
            while follow and seen.is_alive:
                time.sleep(LOOK_EVERY)
                seen = look(ledger)
                show()


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What can be seen of a sweep."""

    state: SweepState
    """Where it was killed, as it is to be gone on with."""
    is_alive: bool
    notice: str


def look(ledger: Ledger, clock: Callable[[], float] = time.time) -> Seen:
    """A sweep as it last wrote, and whether it is still there. Raises LedgerError where there is none."""
    state, holder, now = read_state(ledger), ledger.store.holder(), clock()
    at = clock_time(state.ended or state.written, now)
    goes_on = "; the same command goes on" if any(row.state in (WAITING, *ACTIVE) for row in state.rows) else ""
    if state.ended:
        notice = f"{ledger.location}: ended at {at}{goes_on}"
    elif holder == state.holder:
        silent = now - state.written > 3 * SIGN_OF_LIFE
        notice = f"{ledger.location}: {holder}{f' has not been heard of since {at}' * silent}"
        return Seen(state=state, is_alive=True, notice=notice)
    else:
        rows = [replace(row, state=WAITING) if row.state in ACTIVE else row for row in state.rows]
        state = replace(state, ended=state.written, rows=rows)
        notice = f"{ledger.location}: was killed after {at}{goes_on}"
    if holder and holder != state.holder:
        notice = f"{ledger.location}: {holder} is about to begin; what the sweep before it left"
    return Seen(state=state, is_alive=False, notice=notice)


@contextlib.contextmanager
def _in_terminal(table: "Table") -> Iterator[Callable[[], object]]:
    from raysweep.live.view import Terminal, live

    with live(table, Terminal()) as drawn:
        yield drawn.refresh


@contextlib.contextmanager
def _in_notebook(table: "Table") -> Iterator[Callable[[], object]]:
    from IPython import display

    handle = display.display(display.HTML(as_html(table)), display_id=True)  # type: ignore[no-untyped-call]
    yield lambda: handle.update(display.HTML(as_html(table)))  # type: ignore[no-untyped-call]


def as_html(table: "Table") -> str:
    """The table as a piece of a page."""
    from rich.console import Console

    console = Console(record=True, file=io.StringIO(), width=WIDTH, height=HEIGHT, force_jupyter=False)
    console.print(table)
    style = "font-family: Menlo, 'DejaVu Sans Mono', Consolas, monospace; line-height: 1.25; white-space: pre"
    return console.export_html(inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>')
