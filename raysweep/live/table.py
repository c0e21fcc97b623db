"""A sweep as a table that fits its terminal: progress and time left, then the runs of most interest."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from raysweep.ledger import DIVERGED, FAILED, FINISHED
from raysweep.live.columns import STYLES, columns_of, layout, line
from raysweep.live.spoken import clock_time, counts, duration, time_left
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
"""Runs that ended last and that come next, of which the table shows at most so many."""
ROOMY = 30
"""Lines from which on one is left free."""
ECHO = 2
"""Cells at the end of the last line in which a terminal may write ^C."""


class Table:
    """What rich draws of a sweep, for the width and height there are."""

    def __init__(
        self,
        state: Callable[[], SweepState],
        *,
        notice: Callable[[], str] = str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`notice` is a last line."""
        self._state, self._notice, self._clock = state, notice, clock

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """At most as many lines as fit, less the one of the cursor."""
        state, now = self._state(), self._clock()
        head = list(_head(state, now, options.max_width))
        notice = self._notice()
        height = console.size.height - 1 - len(head) - bool(notice)
        yield from head
        if height >= ROOMY:
            height -= 1
            yield Text()
        yield from _body(state, now, options.max_width, max(0, height))
        if notice:
            last = Text(notice, style="bold")
            last.truncate(options.max_width - ECHO, overflow="ellipsis")
            yield last


def _head(state: SweepState, now: float, width: int) -> Iterator[Text]:
    """The bar, how many runs are in which state, and the time."""
    n = counts(state.rows)
    done = sum(n[name] for name in (*ENDED, DONE_BEFORE))
    title = f"{done} of {len(state.rows)} run{'s' * (len(state.rows) != 1)} done "
    yield Text.assemble((title, "bold"), _bar(state.rows, width - len(title)))
    states = _states(n, before=f" ({n[DONE_BEFORE]} before)" if n[DONE_BEFORE] else "")
    if cell_len(states.plain) > width:
        states = _states(n, before="")
    if state.ended:
        times = f"ended {clock_time(state.ended, now)} after {duration(state.ended - state.started)}"
    else:
        left = time_left(state, now)
        times = ", ".join(filter(None, [left, f"running for {duration(now - state.started)}"]))
    gap = width - cell_len(states.plain) - len(times)
    if gap >= 3:
        yield Text.assemble(states, " " * gap, times)
    else:
        states.truncate(width, overflow="ellipsis")
        yield states
        yield Text(times, no_wrap=True, overflow="ellipsis")


def _states(n: Counter[str], *, before: str) -> Text:
    """How many runs there are in each state."""
    said = [(name, n[name], name) for name in (TRAINING, STARTING, STOPPING, WAITING)]
    said += [(FINISHED, n[FINISHED] + n[DONE_BEFORE], f"{FINISHED}{before}"), (FAILED, n[FAILED], FAILED)]
    said += [(DIVERGED, n[DIVERGED], DIVERGED), (DROPPED, n[DROPPED], "not started")]
    parts = [Text(f"{count} {label}", style=STYLES[name]) for name, count, label in said if count]
    return Text(" · ").join(parts)


def _bar(rows: Sequence[RunState], width: int) -> Text:
    """A line of `width` cells, shared by the runs that finished, failed, are at it, and are to come."""
    n = counts(rows)
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
    """The runs of most interest, in the order of time, and how many there are beside."""
    ended, active, coming = _chosen(state, height - 2)
    rows = [*ended, *active, *coming]
    if not rows or height < 3:
        return
    columns, widths, gap = layout(columns_of(state, now), rows, width)
    titles = [(column.titled(gap), "bold") for column in columns]
    yield line(columns, widths, gap, titles)
    for row in rows:
        yield line(columns, widths, gap, [column.cell(row) for column in columns])
        if text := _said(row):
            yield Text(
                f"  {text}",
                style=STYLES[row.state if row.state in ENDED else STOPPING],
                no_wrap=True,
                overflow="ellipsis",
            )
    n = counts(state.rows)
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


def _chosen(state: SweepState, lines: int) -> tuple[list[RunState], list[RunState], list[RunState]]:
    """Rows that ended last, of a sweep that is over the failures before; those at it; the next: in so many lines."""

    def fitting(rows: Sequence[RunState], lines: int) -> list[RunState]:
        taken: list[RunState] = []
        for row in rows:
            lines -= 1 + bool(_said(row))
            if lines < 0:
                break
            taken.append(row)
        return taken

    def used(rows: Sequence[RunState]) -> int:
        return len(rows) + sum(bool(_said(row)) for row in rows)

    ended = sorted((row for row in state.rows if row.ended and row.state in ENDED), key=lambda row: -(row.ended or 0))
    if state.ended:
        lost = [row for row in ended if row.state in (FAILED, DIVERGED)]
        ended = fitting(lost + [row for row in ended if row.state == FINISHED][:RECENT], lines)
    coming = sorted((row for row in state.rows if row.state == WAITING), key=lambda row: not row.urgent)[:COMING]
    active = sorted((row for row in state.rows if row.state in ACTIVE), key=lambda row: row.started or math.inf)
    active = fitting(active, max(lines - used(ended[:RECENT]) - len(coming), (2 * lines + 2) // 3))
    rest = lines - used(active)
    coming = coming[: max(0, rest - min(used(ended[:RECENT]), rest // 2))]
    ended = fitting(ended if state.ended else ended[:RECENT], rest - len(coming))
    ended.sort(key=lambda row: row.ended or 0)
    return ended, active, coming


def _said(row: RunState) -> str:
    """The last error of a run that failed or goes on after one."""
    if not row.error or row.state == FINISHED:
        return ""
    return f"retry {row.retries}: {row.error}" if row.retries and row.state not in ENDED else row.error
