"""The live table as a section of report.html: what runs now, what comes next, and what has failed."""

import datetime
import html
import math
import time
from collections.abc import Callable, Iterator, Sequence

from raysweep.ledger import DIVERGED, FAILED, FINISHED, Ledger, LedgerError
from raysweep.live.columns import Column, columns_of
from raysweep.live.formatting import format_clock_time, format_duration, format_summary, format_time_left
from raysweep.live.state import ACTIVE, WAITING, RunState, SweepState
from raysweep.live.table import error_of
from raysweep.live.watch import observe

MOST_RUNNING, MOST_FAILED, COMING, RECENT = 60, 20, 5, 5
"""The section shows at most so many runs that train, that have failed, that come next, and that finished last."""
PROGRESS = "progress"
"""The title of the column that is drawn as a bar."""


def live_section(ledger: Ledger, clock: Callable[[], float] = time.time) -> str:
    """The section as HTML; "" where no sweep is alive, or where that cannot be found out.

    `data-written` is the time, with its zone, at which the sweep has written what the section shows.
    """
    try:
        seen = observe(ledger, clock)
    except (LedgerError, OSError):
        return ""
    if not seen.is_alive:
        return ""
    state, now = seen.state, clock()
    written = datetime.datetime.fromtimestamp(state.written, datetime.UTC).isoformat(timespec="seconds")
    said = [format_summary(state), format_time_left(state, now), f"running for {format_duration(now - state.started)}"]
    return (
        f'<section id="live" data-alive="true" data-written="{written}">\n<h2>Running now</h2>\n'
        f"<p>{html.escape(' · '.join(filter(None, said)))}</p>\n{_table(state, now)}"
        f'<p class="note">{html.escape(seen.notice)}; as of {format_clock_time(state.written, now)}</p>\n</section>\n'
    )


def _table(state: SweepState, now: float) -> str:
    """The runs of most interest, with a line for the last error of one that has any; "" where there are none."""
    rows = _of_interest(state)
    if not rows:
        return ""
    columns = [column for column in _columns(state, now) if any(column.cell(row)[0] for row in rows)]
    if len({row.group for row in rows}) == 1:
        columns = [column for column in columns if column.title != "group"]
    head = "".join(f"<th{_side(column)}>{html.escape(column.title)}</th>" for column in columns)
    body = []
    for row in rows:
        cells = "".join(f"<td{_side(column)}>{_cell(column, row)}</td>" for column in columns)
        body.append(f'<tr class="{html.escape(row.state)}">{cells}</tr>\n')
        if error := error_of(row):
            body.append(f'<tr class="error"><td colspan="{len(columns)}">{html.escape(error)}</td></tr>\n')
    others = len(state.run_states) - len(rows)
    below = f'<p class="note">and {others} other run{"s" * (others != 1)}</p>\n' if others else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{''.join(body)}</tbody></table>"
    return f'<div class="table">{table}</div>\n{below}'


def _of_interest(state: SweepState) -> list[RunState]:
    """The last ones that failed or finished in this sweep, all that run, and the next ones."""

    def last(names: Sequence[str], most: int) -> list[RunState]:
        ended = [row for row in state.run_states if row.state in names and row.ended]
        return sorted(ended, key=lambda row: row.ended or 0)[-most:]

    running = [row for row in state.run_states if row.state in ACTIVE]
    running.sort(key=lambda row: row.started or math.inf)
    waiting = sorted((row for row in state.run_states if row.state == WAITING), key=lambda row: not row.urgent)
    ended = [*last((FAILED, DIVERGED), MOST_FAILED), *last((FINISHED,), RECENT)]
    return [*ended, *running[:MOST_RUNNING], *waiting[:COMING]]


def _columns(state: SweepState, now: float) -> Iterator[Column]:
    """The columns of the table in a terminal, with the progress as a bar, and when each run is expected to end."""
    for column in columns_of(state, now):
        if column.title:
            yield column
        if column.title == "phase":
            yield Column(title=PROGRESS, cell=lambda row: (_percent(row), ""))
        if column.title == "time left":
            yield Column(title="expected end", cell=lambda row: (_expected_end(state, row, now), ""))


def _percent(row: RunState) -> str:
    """How much of the current phase is done, in percent; "" for a run that does not train."""
    return f"{min(100.0, 100 * row.epoch / row.epochs):.0f}" if row.state in ACTIVE and row.epochs else ""


def _expected_end(state: SweepState, row: RunState, now: float) -> str:
    """The time at which a run that trains is expected to end; "" for others, and where nothing is known."""
    left = state.left.get(row.run)
    if row.state not in ACTIVE or left is None or math.isinf(left.high):
        return ""
    return format_clock_time(now + left.after(now - state.estimated).seconds, now)


def _cell(column: Column, row: RunState) -> str:
    text = column.cell(row)[0]
    if column.title == PROGRESS and text:
        return f'<progress style="width: 6em" max="100" value="{text}" title="{text} % of this phase"></progress>'
    return html.escape(text)


def _side(column: Column) -> str:
    return ' class="r"' if column.right else ' class="t"'
