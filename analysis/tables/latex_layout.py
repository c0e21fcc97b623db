"""How a table finds room on a page of LaTeX: the size of its letters, which columns are wrapped, and which way it lies.

Reckoned for a page of `article` (345 points wide, 550 high): what fits there fits nearly anywhere. Widths are upper
bounds by the metrics of Computer Modern, so that no column runs over the margin.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from analysis.tables.latex_text import pieces_of, width_of

WIDTH, HEIGHT = 345.0, 550.0
"""Of the text of a page, in points."""
SEPARATION = 4.0
"""Half of the space between columns, in points."""

SIZES = {
    "normalsize": (1.0, 12.0, 0.0),
    "small": (0.925, 11.0, 0.1),
    "footnotesize": (0.85, 9.5, 0.2),
    "scriptsize": (0.80, 8.0, 0.5),
}
"""Widths of Computer Modern of a size relative to those of 10 points, the distance of its lines in points, and what it
costs to read such letters, in lines for each row."""
SIDEWAYS = 0.7
"""What it costs to turn the page, in lines for each row."""
SHORT, NARROW = 90.0, 120.0
"""In points: narrower columns are not wrapped, and wider ones to half of their width or to this, whichever is less."""
LAST = (HEIGHT, "scriptsize")
MOST_FILLED = 0.6
"""The share of a page's height above which a table goes over pages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How a table, or some columns of it, is set."""

    columns: tuple[int, ...]
    size: str
    wrapped: dict[int, float]
    """The widths, in points, of the columns whose texts take several lines."""
    is_landscape: bool
    is_long: bool
    """Whether it goes over pages."""


def layouts(texts: Sequence[Sequence[str]], labels: Sequence[int], wraps: Sequence[int]) -> Iterator[Layout]:
    """One layout, or several where all columns have no room side by side; those then begin with the `labels`.

    `texts` holds the rows with the headings first; `wraps` are the columns that may be wrapped.
    """
    columns = [[row[i] for row in texts] for i in range(len(texts[0]))]
    wanted = [max(map(width_of, column)) for column in columns]
    least = [_least(column, wanted[i]) if i in wraps else wanted[i] for i, column in enumerate(columns)]
    left = [i for i in range(len(columns)) if i not in labels]
    while True:
        part = [*labels, *left[:1]]
        for i in left[1:]:
            if _room(HEIGHT, "scriptsize", len(part) + 1) < sum(least[j] for j in (*part, i)):
                break
            part.append(i)
        yield _layout(sorted(part), texts, wanted, least)
        left = [i for i in left if i not in part]
        if not left:
            return


def _least(column: Sequence[str], wanted: float) -> float:
    """The narrowest that a column is wrapped to: its longest piece, and about two lines where that is not much."""
    pieces = (piece for text in (*column, "n") for word in text.split() for piece in pieces_of(word))
    return max(*map(width_of, pieces), wanted if wanted < SHORT else min(wanted / 2, NARROW))


def _layout(part: Sequence[int], texts: Sequence[Sequence[str]], wanted: list[float], least: list[float]) -> Layout:
    """The one that costs least, of an upright page or one on its side and letters of all sizes."""
    found: list[tuple[float, int, Layout]] = []
    for page in (WIDTH, HEIGHT):
        for size, (factor, distance, price) in SIZES.items():
            room = max(_room(page, size, len(part)), sum(least[i] for i in part) if (page, size) == LAST else 0)
            if sum(least[i] for i in part) > room:
                continue
            widths = _shared(part, wanted, least, room)
            lines = sum(_lines(row, widths) for row in texts)
            cost = lines / len(texts) + price + SIDEWAYS * (page == HEIGHT)
            layout = Layout(
                columns=tuple(part),
                size=size,
                wrapped={i: width * factor for i, width in widths.items()},
                is_landscape=page == HEIGHT,
                is_long=lines * distance > MOST_FILLED * (WIDTH if page == HEIGHT else HEIGHT),
            )
            found.append((cost, len(found), layout))
    return min(found)[2]


def _lines(row: Sequence[str], widths: dict[int, float]) -> int:
    """About how many lines a row takes."""
    return max([1, *(ceil(1.1 * width_of(row[i]) / width) for i, width in widths.items())])


def _room(page: float, size: str, n_columns: int) -> float:
    """The width that columns have together, in points of the normal size."""
    return (page - 2 * SEPARATION * (n_columns - 1)) / SIZES[size][0]


def _shared(part: Sequence[int], wanted: list[float], least: list[float], room: float) -> dict[int, float]:
    """The widths of the columns that have to be wrapped, each between the least and what it wants."""
    if sum(wanted[i] for i in part) <= room:
        return {}
    low, high = 0.0, 1.0
    for _ in range(30):  # the largest share of what they want beyond the least
        share = (low + high) / 2
        used = sum(least[i] + share * (wanted[i] - least[i]) for i in part)
        low, high = (share, high) if used <= room else (low, share)
    return {i: least[i] + low * (wanted[i] - least[i]) for i in part if wanted[i] > least[i]}
