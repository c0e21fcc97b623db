"""Fits the columns of a table into a width: headings and texts are broken first, then the least important columns are
left out. Nothing is ever cut."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from analysis.tables.column import LABEL, Column

BREAKS = re.compile(r"(?<=[ _=])")
"""Where a text may go on in the next line: behind a space, and within names."""
LEAST_NAME, LEAST_TEXT = 20, 12
"""Names, and texts that may take several lines, are broken into lines of so many characters before a column goes."""
SQUEEZED = 4
"""What labels may be broken into where they alone are wider than the terminal."""
SPREAD = "±"
"""The heading of a column that belongs to the one before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """The columns that fit, and what was left out."""

    columns: Sequence[int]
    """Their places among all columns."""
    widths: Sequence[int]
    """In characters, without the frame."""
    left_out: Sequence[str]
    """The headings of the others, in the order of the table."""


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Fitted:
    """The columns of a table with these texts that fit into so many characters, frame included, and their widths.

    Columns without any text are not shown, and not named.
    """
    sizes = [_Sizes.of(column, [row[i] for row in rows]) for i, column in enumerate(columns)]
    filled = [i for i in range(len(columns)) if not rows or any(row[i] for row in rows)]
    kept = list(filled)
    while True:
        room = width - 3 * len(kept) - 1
        if sum(sizes[i].least for i in kept) <= room:
            widths = _widened([sizes[i] for i in kept], room)
            break
        optional = [i for i in kept if columns[i].importance < LABEL]
        if not optional:
            widths = _squeezed([sizes[i].least for i in kept], room)
            break
        kept.remove(min(optional, key=lambda i: (columns[i].importance, -i)))
    left_out = [heading_of(columns, i) for i in filled if i not in kept]
    return Fitted(columns=kept, widths=widths, left_out=left_out)


def heading_of(columns: Sequence[Column], place: int) -> str:
    """What a column is called where it stands alone: `finetune_acc ±` for the one behind `finetune_acc`."""
    own = columns[place].heading
    return f"{columns[place - 1].heading} {SPREAD}" if own == SPREAD and place else own


def broken(text: str, width: int) -> str:
    """The text in lines of at most so many characters, broken behind spaces, underscores and equals signs if it can be,
    and else within a word."""
    lines = []
    for whole in text.split("\n"):
        line = ""
        for part in BREAKS.split(whole):
            if cell_len((line + part).rstrip()) <= width:
                line += part
                continue
            lines += [line] * bool(line)
            *full, line = chop_cells(part, width) or [""]
            lines += full
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sizes:
    """The widths that a column can have."""

    least: int
    """With everything broken that may be."""
    texts: int
    """With the heading broken, and the texts whole."""
    whole: int

    @classmethod
    def of(cls, column: Column, texts: Sequence[str]) -> "_Sizes":
        heading = _longest(BREAKS.split(column.heading))
        whole = _longest(texts)
        least = whole
        if column.form is None:
            shortest = LEAST_TEXT if column.wrap else LEAST_NAME
            least = max(min(whole, shortest), _longest(part for text in texts for part in BREAKS.split(text)))
        return cls(
            least=max(least, heading, 1),
            texts=max(whole, heading, 1),
            whole=max(whole, cell_len(column.heading), 1),
        )


def _longest(texts: Iterable[str]) -> int:
    return max((cell_len(text.rstrip()) for text in texts), default=0)


def _widened(sizes: Sequence[_Sizes], room: int) -> list[int]:
    """The least widths, and what is left of the room: first for texts, in turn, then for the headings that need least,
    since a broken one is no better for being wider."""
    widths = [size.least for size in sizes]
    left = room - sum(widths)
    while left and (short := [i for i, size in enumerate(sizes) if widths[i] < size.texts]):
        for i in short[:left]:
            widths[i] += 1
        left -= len(short[:left])
    for i in sorted(range(len(sizes)), key=lambda i: sizes[i].whole - widths[i]):
        more = sizes[i].whole - widths[i]
        if 0 < more <= left:
            widths[i] += more
            left -= more
    return widths


def _squeezed(widths: Sequence[int], room: int) -> list[int]:
    """Widths that fit, the widest made narrower."""
    narrow = list(widths)
    while sum(narrow) > room and max(narrow) > SQUEEZED:
        narrow[narrow.index(max(narrow))] -= 1
    return narrow
