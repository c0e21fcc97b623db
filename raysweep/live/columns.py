"""The columns of the table, and the choice of those that fit into the width of a terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from raysweep.experiment import LOADER_BOUND
from raysweep.ledger import DIVERGED, FAILED, FINISHED
from raysweep.live.formatting import format_duration, format_estimate
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
NAME = "trial"
"""The title of the column of names. Where they leave no room for the others, they stand in lines of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the table."""

    title: str
    short: str = ""
    """The title to use where there is little room; "" if it is the same."""
    cell: Callable[[RunState], tuple[str, str]]
    """Returns the text and the style of a row's cell."""
    right: bool = False
    """Whether the text is aligned to the right."""
    drop: int = 0
    """Where the columns do not fit, those with the highest number are left out first; a column with 0 always stays."""

    def title_for(self, gap: int) -> str:
        """The title to use where columns are `gap` characters apart."""
        return self.short or self.title if gap == 1 else self.title


def columns_of(state: SweepState, now: float) -> list[Column]:
    """All columns of the table, from left to right, at the time `now` in seconds since 1970."""

    def left(row: RunState) -> tuple[str, str]:
        if row.state in ENDED and row.ended and row.started:
            return f"took {format_duration(row.ended - row.started)}", "dim"
        known = state.left.get(row.run)
        if known is None or state.ended:
            return "", ""
        known = known.after(now - state.estimated) if row.state in ACTIVE else known
        return format_estimate(known), "" if row.state in ACTIVE else "dim"

    def number(value: float | None, form: str) -> tuple[str, str]:
        return ("", "") if value is None else (f"{value:{form}}", "")

    has_accuracy = any(row.val_acc is not None for row in state.run_states)
    accuracy = [
        Column(title="val acc", short="acc", cell=lambda row: number(row.val_acc, ".2f"), right=True),
        Column(title="best", cell=lambda row: number(row.best_acc, ".2f"), right=True, drop=4),
    ]
    loss = [Column(title="loss", cell=lambda row: number(row.train_loss, ".4f"), right=True)]
    return [
        Column(title="", cell=lambda row: (GLYPHS.get(row.state, " "), STYLES.get(row.state, ""))),
        Column(title="group", cell=lambda row: (row.group, "" if row.state in ACTIVE else "dim"), drop=5),
        Column(title=NAME, cell=lambda row: (row.experiment, "dim" if row.state in (WAITING, DROPPED) else "")),
        Column(
            title="seed", cell=lambda row: (str(row.seed), "dim" if row.state in (WAITING, DROPPED) else ""), right=True
        ),
        Column(title="phase", cell=_phase),
        Column(title="", cell=lambda row: (_epochs_bar(row), "cyan"), drop=6),
        *(accuracy if has_accuracy else loss),
        Column(title="images/s", short="img/s", cell=lambda row: number(_rate(row), ",.0f"), right=True, drop=2),
        Column(title="waiting for images", short="wait", cell=_wait, right=True, drop=2),
        Column(title="time left", cell=left, drop=1),
        Column(title="retries", cell=lambda row: (str(row.retries or ""), "yellow"), right=True, drop=3),
    ]


def _rate(row: RunState) -> float | None:
    """Images per second; None for a run that does not train now."""
    return row.images_per_second if row.state in ACTIVE else None


def _wait(row: RunState) -> tuple[str, str]:
    """The part of its time for which a run that trains waits for images, where that is worth a warning."""
    is_bound = row.state in ACTIVE and row.data_wait is not None and row.data_wait >= LOADER_BOUND
    return (f"{row.data_wait:.0f} %", "yellow") if is_bound else ("", "")


def _phase(row: RunState) -> tuple[str, str]:
    """The phase of a run that trains, as `finetune 12/100`, or its state if it does not train."""
    at = f"{row.phase} {row.epoch}/{row.epochs:g}" if row.phase else ""
    if row.state == TRAINING:
        return at or "begins", ""
    if row.state in (STARTING, STOPPING):
        return row.state, STYLES[row.state]
    if row.state == WAITING:
        return f"{WAITING} {row.phase} {row.epoch}".strip() if row.phase else WAITING, "dim"
    return row.state, STYLES.get(row.state, "")


def _epochs_bar(row: RunState, width: int = 10) -> str:
    """A bar that shows how much of the current phase is done."""
    if row.state not in ACTIVE or not row.epochs:
        return ""
    done = min(width, int(width * row.epoch / row.epochs))
    return "━" * done + "╌" * (width - done)


def layout(columns: list[Column], rows: Sequence[RunState], width: int) -> tuple[list[Column], list[int], int]:
    """The columns that fit into `width` characters, their widths, and the gap between two columns.

    The gap is two characters, or one where the columns do not fit otherwise. Empty columns are left out, and so is the
    group if all rows have the same one. If the names leave no room for those that always stay, their column is left
    out, too, and `draw_lines` puts each above its row.
    """
    if len({row.group for row in rows}) == 1:
        columns = [column for column in columns if column.title != "group"]
    texts = {id(column): [cell_len(column.cell(row)[0]) for row in rows] for column in columns}
    filled = [column for column in columns if any(texts[id(column)])]

    def widths(kept: Sequence[Column], gap: int) -> list[int]:
        return [max(len(column.title_for(gap)), *texts[id(column)]) for column in kept]

    for named in (filled, [column for column in filled if column.title != NAME]):
        kept = list(named)
        while True:
            for gap in (2, 1):
                fitted = widths(kept, gap)
                if sum(fitted) + gap * (len(kept) - 1) <= width:
                    return kept, fitted, gap
            if not (droppable := [column for column in kept if column.drop]):
                break
            kept.remove(max(droppable, key=lambda column: column.drop))
    return kept, fitted, gap


def draw_line(columns: Sequence[Column], widths: Sequence[int], gap: int, cells: Sequence[tuple[str, str]]) -> Text:
    """Write cells side by side."""
    drawn = Text(no_wrap=True, overflow="crop")
    for column, width, (text, style) in zip(columns, widths, cells, strict=True):
        space = " " * (width - cell_len(text))
        drawn.append(space * column.right)
        drawn.append(text, style=style)
        drawn.append(space * (not column.right) + " " * gap)
    drawn.rstrip()
    return drawn
