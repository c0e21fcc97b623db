"""The columns of the table, and which of them fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from raysweep.ledger import DIVERGED, FAILED, FINISHED
from raysweep.live.spoken import duration, interval
from raysweep.live.state import ACTIVE, DROPPED, ENDED, STARTING, STOPPING, TRAINING, WAITING, RunState, SweepState

STYLES = {
    STARTING: "cyan",
    TRAINING: "cyan",
    STOPPING: "yellow",
    FINISHED: "green",
    FAILED: "red",
    DIVERGED: "magenta",
    WAITING: "dim",
    DROPPED: "dim",
}
GLYPHS = {STARTING: "○", TRAINING: "●", STOPPING: "◐", FINISHED: "✓", FAILED: "✗", DIVERGED: "✗", DROPPED: "-"}
MOST_CUT = 8
"""Cells that a trial's name may lose for a column to stay."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """Of the table: `cell` gives a row's text and its style."""

    title: str
    short: str = ""
    """The title where there is little room."""
    cell: Callable[[RunState], tuple[str, str]]
    right: bool = False
    drop: int = 0
    """Where the columns do not fit, those with the highest number go first; 0 stays."""

    def titled(self, gap: int) -> str:
        """Its title between gaps of so many cells."""
        return self.short or self.title if gap == 1 else self.title


def columns_of(state: SweepState, now: float) -> list[Column]:
    """All there are, in order."""

    def left(row: RunState) -> tuple[str, str]:
        if row.state in ENDED and row.ended and row.started:
            return f"took {duration(row.ended - row.started)}", "dim"
        known = state.left.get(row.run)
        if known is None or state.ended:
            return "", ""
        known = known.after(now - state.estimated) if row.state in ACTIVE else known
        return interval(known), "" if row.state in ACTIVE else "dim"

    def number(value: float | None, form: str) -> tuple[str, str]:
        return ("", "") if value is None else (f"{value:{form}}", "")

    has_accuracy = any(row.val_acc is not None for row in state.rows)
    accuracy = [
        Column(title="val acc", short="acc", cell=lambda row: number(row.val_acc, ".2f"), right=True),
        Column(title="best", cell=lambda row: number(row.best_acc, ".2f"), right=True, drop=3),
    ]
    loss = [Column(title="loss", cell=lambda row: number(row.train_loss, ".4f"), right=True)]
    return [
        Column(title="", cell=lambda row: (GLYPHS.get(row.state, " "), STYLES.get(row.state, ""))),
        Column(title="group", cell=lambda row: (row.group, "" if row.state in ACTIVE else "dim"), drop=4),
        Column(title="trial", cell=lambda row: (row.experiment, "dim" if row.state in (WAITING, DROPPED) else "")),
        Column(
            title="seed", cell=lambda row: (str(row.seed), "dim" if row.state in (WAITING, DROPPED) else ""), right=True
        ),
        Column(title="phase", cell=_phase),
        Column(title="", cell=lambda row: (_epochs_bar(row), "cyan"), drop=5),
        *(accuracy if has_accuracy else loss),
        Column(title="images/s", short="img/s", cell=lambda row: number(_rate(row), ",.0f"), right=True, drop=1),
        Column(title="time left", cell=left),
        Column(title="retries", cell=lambda row: (str(row.retries or ""), "yellow"), right=True, drop=2),
    ]


def _rate(row: RunState) -> float | None:
    return row.images_per_second if row.state in ACTIVE else None


def _phase(row: RunState) -> tuple[str, str]:
    """`finetune 12/100`, or what is the case instead."""
    at = f"{row.phase} {row.epoch}/{row.epochs:g}" if row.phase else ""
    if row.state == TRAINING:
        return at or "begins", ""
    if row.state in (STARTING, STOPPING):
        return row.state, STYLES[row.state]
    if row.state == WAITING:
        return f"{WAITING} {row.phase} {row.epoch}".strip() if row.phase else WAITING, "dim"
    return row.state, STYLES.get(row.state, "")


def _epochs_bar(row: RunState, width: int = 10) -> str:
    """How much of its phase is done."""
    if row.state not in ACTIVE or not row.epochs:
        return ""
    done = min(width, int(width * row.epoch / row.epochs))
    return "━" * done + "╌" * (width - done)


def layout(columns: list[Column], rows: Sequence[RunState], width: int) -> tuple[list[Column], list[int], int]:
    """The columns that fit, their widths, and the gap between two: of one cell where two are too many."""
    if len({row.group for row in rows}) == 1:
        columns = [column for column in columns if column.title != "group"]
    texts = {id(column): [cell_len(column.cell(row)[0]) for row in rows] for column in columns}
    columns = [column for column in columns if any(texts[id(column)])]

    def widths(gap: int) -> list[int]:
        return [max(len(column.titled(gap)), *texts[id(column)]) for column in columns]

    def needed(gap: int) -> int:
        return sum(widths(gap)) + gap * (len(columns) - 1)

    gap = 2
    while needed(gap) > width and (droppable := [column for column in columns if column.drop]):
        last = max(droppable, key=lambda column: column.drop)
        if last.drop == 1:
            gap = 1
            if needed(gap) - width <= MOST_CUT:
                break
        columns.remove(last)
    fitted = widths(gap)
    over = needed(gap) - width
    if over > 0:
        trial = next(i for i, column in enumerate(columns) if column.title == "trial")
        fitted[trial] = max(8, fitted[trial] - over)
    return columns, fitted, gap


def line(columns: Sequence[Column], widths: Sequence[int], gap: int, cells: Sequence[tuple[str, str]]) -> Text:
    """Cells side by side; of a text that is too long for its column, the middle is left out."""
    drawn = Text(no_wrap=True, overflow="crop")
    for column, width, (text, style) in zip(columns, widths, cells, strict=True):
        if cell_len(text) > width:
            half = (width - 1) // 2
            text = f"{text[: width - 1 - half]}…{text[len(text) - half :]}"
        space = " " * (width - cell_len(text))
        drawn.append(space * column.right)
        drawn.append(text, style=style)
        drawn.append(space * (not column.right) + " " * gap)
    drawn.rstrip()
    return drawn
