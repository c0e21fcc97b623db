"""Draws a sweep as a table that fits its terminal: progress and time left first, then the runs of most interest."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from raysweep.ledger import DIVERGED, FAILED, FINISHED
from raysweep.live.columns import NAME, STYLES, columns_of, draw_line, layout
from raysweep.live.formatting import count_by_state, format_clock_time, format_duration, format_time_left
from raysweep.live.state import (
    ACTIVE,
    DONE_BEFORE,
    DROPPED,
    ENDED,
    STARTING,
    STOPPING,
    TRAINING,
    WAITING,
    RunState,
    SweepState,
)

RECENT, COMING = 5, 3
"""The table shows at most this many of the runs that ended last, and of those that come next."""
ROOMY_HEIGHT = 30
"""If the table has this many lines for runs, an empty line is put above them."""
ECHO_WIDTH = 2
"""Characters at the end of the last line that stay free, because a terminal writes ^C there."""


class Table:
    """A table of a sweep that rich can draw into any width and height."""

    def __init__(
        self,
        state: Callable[[], SweepState],
        *,
        notice: Callable[[], str] = str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`notice` returns the line below the table, or ""."""
        self._state, self._notice, self._clock = state, notice, clock

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield at most as many lines as fit above the line of the cursor."""
        state, now = self._state(), self._clock()
        notice = self._notice()
        head = list(_head(state, now, options.max_width))[: max(1, console.size.height - 1 - bool(notice))]
        height = console.size.height - 1 - len(head) - bool(notice)
        yield from head
        if height >= ROOMY_HEIGHT:
            height -= 1
            yield Text()
        yield from _body(state, now, options.max_width, max(0, height))
        if notice:
            last = Text(notice, style="bold")
            last.truncate(options.max_width - ECHO_WIDTH, overflow="ellipsis")
            yield last


def _head(state: SweepState, now: float, width: int) -> Iterator[Text]:
    """The progress bar, and below it how many runs are in which state, and the time left."""
    n = count_by_state(state.run_states)
    done = sum(n[name] for name in (*ENDED, DONE_BEFORE))
    title = f"{done} of {len(state.run_states)} run{'s' * (len(state.run_states) != 1)} done "
    yield Text.assemble((title, "bold"), _bar(state.run_states, width - len(title)))
    states = _states(n, before=f" ({n[DONE_BEFORE]} before)" if n[DONE_BEFORE] else "")
    if cell_len(SEPARATOR.join(map(str, states))) > width:
        states = _states(n, before="")
    if state.ended:
        times = [f"ended {format_clock_time(state.ended, now)} after {format_duration(state.ended - state.started)}"]
    else:
        left = format_time_left(state, now)
        times = [*filter(None, [left]), f"running for {format_duration(now - state.started)}"]
    gap = width - cell_len(SEPARATOR.join(map(str, states))) - cell_len(", ".join(times))
    if gap >= 3:
        yield Text.assemble(Text(SEPARATOR).join(states), " " * gap, ", ".join(times))
    else:
        yield from _in_lines(states, SEPARATOR, width)
        yield from _in_lines([Text(part) for time in times for part in time.split(", ")], ", ", width)


SEPARATOR = " · "


def _in_lines(parts: Sequence[Text], separator: str, width: int) -> Iterator[Text]:
    """The parts side by side, in as many lines as they need."""
    line: list[Text] = []
    for part in parts:
        if line and cell_len(separator.join(map(str, [*line, part]))) > width:
            yield Text(separator).join(line)
            line = []
        line.append(part)
    last = Text(separator).join(line)
    last.no_wrap, last.overflow = True, "crop"
    yield last


def _states(n: Counter[str], *, before: str) -> list[Text]:
    """How many runs there are in each state; `before` is put behind the number of finished ones."""
    labelled = [(name, n[name], name) for name in (TRAINING, STARTING, STOPPING, WAITING)]
    labelled += [(FINISHED, n[FINISHED] + n[DONE_BEFORE], f"{FINISHED}{before}"), (FAILED, n[FAILED], FAILED)]
    labelled += [(DIVERGED, n[DIVERGED], DIVERGED), (DROPPED, n[DROPPED], "not started")]
    return [Text(f"{count} {label}", style=STYLES[name]) for name, count, label in labelled if count]


def _bar(rows: Sequence[RunState], width: int) -> Text:
    """A bar of `width` characters, divided in proportion to the runs that finished, failed, are running and wait."""
    n = count_by_state(rows)
    parts = (
        (n[FINISHED] + n[DONE_BEFORE], "green"),
        (n[FAILED] + n[DIVERGED] + n[DROPPED], "red"),
        (sum(n[name] for name in ACTIVE), "cyan"),
        (n[WAITING], "bright_black"),
    )
    bar, ends, seen = Text(), [0], 0
    for count, _ in parts:
        seen += count
        ends.append(round(width * seen / max(1, len(rows))))
    for (first, last), (_, style) in zip(pairwise(ends), parts, strict=True):
        bar.append("━" * (last - first), style=style)
    return bar


def _body(state: SweepState, now: float, width: int, height: int) -> Iterator[Text]:
    """The runs of most interest, those that ended first and waiting ones last, and how many others there are."""
    known = columns_of(state, now)
    ended, active, coming = _choose_rows(state, height - 2)
    rows = [*ended, *active, *coming]
    if not rows or height < 3:
        return
    columns, widths, gap = layout(known, rows, width)
    name = next(column for column in known if column.title == NAME)
    if name_apart := name not in columns:
        ended, active, coming = _choose_rows(state, (height - 2) // 2)
        rows = [*ended, *active, *coming]
    titles = [(column.title_for(gap), "bold") for column in columns]
    yield draw_line(columns, widths, gap, titles)
    for row in rows:
        if name_apart:
            yield Text(*name.cell(row), no_wrap=True, overflow="crop")
        yield draw_line(columns, widths, gap, [column.cell(row) for column in columns])
        if text := error_of(row):
            yield Text(
                f"  {text}",
                style=STYLES[row.state if row.state in ENDED else STOPPING],
                no_wrap=True,
                overflow="ellipsis",
            )
    n = count_by_state(state.run_states)
    more = [
        f"{total - len(shown)} {label}"
        for total, shown, label in (
            (sum(n[name] for name in ACTIVE), active, "more running"),
            (n[WAITING], coming, "more waiting"),
            (sum(n[name] for name in (*ENDED, DONE_BEFORE)), ended, "done and not shown"),
        )
        if total > len(shown)
    ]
    if more:
        yield Text(f"  {', '.join(more)}", style="dim", no_wrap=True, overflow="ellipsis")


def _choose_rows(state: SweepState, lines: int) -> tuple[list[RunState], list[RunState], list[RunState]]:
    """The rows to show of runs that ended, that are running, and that wait, which together take at most `lines` lines.

    Of a sweep that goes on, these are the runs that ended last, the running ones and the next ones; running ones may
    take at least two thirds of the lines. Of a sweep that has ended, they are all failures and the runs that finished
    last; failures go first where lines are short.
    """
    ended = sorted(
        (row for row in state.run_states if row.ended and row.state in ENDED), key=lambda row: -(row.ended or 0)
    )
    if state.ended:
        failures = [row for row in ended if row.state in (FAILED, DIVERGED)]
        ended = _fitting(failures + [row for row in ended if row.state == FINISHED][:RECENT], lines)
    coming = sorted((row for row in state.run_states if row.state == WAITING), key=lambda row: not row.urgent)[:COMING]
    active = sorted((row for row in state.run_states if row.state in ACTIVE), key=lambda row: row.started or math.inf)
    active = _fitting(active, max(lines - _lines_of(ended[:RECENT]) - len(coming), (2 * lines + 2) // 3))
    rest = lines - _lines_of(active)
    coming = coming[: max(0, rest - min(_lines_of(ended[:RECENT]), rest // 2))]
    ended = _fitting(ended if state.ended else ended[:RECENT], rest - len(coming))
    ended.sort(key=lambda row: row.ended or 0)
    return ended, active, coming


def _fitting(rows: Sequence[RunState], lines: int) -> list[RunState]:
    """The first rows that fit into `lines` lines."""
    taken: list[RunState] = []
    for row in rows:
        lines -= _lines_of([row])
        if lines < 0:
            break
        taken.append(row)
    return taken


def _lines_of(rows: Sequence[RunState]) -> int:
    """How many lines rows take, with the line of its last error below a row that has one."""
    return len(rows) + sum(bool(error_of(row)) for row in rows)


def error_of(row: RunState) -> str:
    """The last error of a run that failed, or that goes on after an error; "" for other runs."""
    if not row.error or row.state == FINISHED:
        return ""
    return f"retry {row.retries}: {row.error}" if row.retries and row.state not in ENDED else row.error
