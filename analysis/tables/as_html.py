"""A table as HTML."""

import html
from collections.abc import Sequence

from analysis.tables.column import Column

PAGE = '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n{body}\n</html>\n'


def as_html(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], runs: Sequence[str], title: str, note: str
) -> str:
    """The title, a table element and the note; the title of a row names the runs that it rests on."""
    head = "".join(f"<th{_side(c)}>{html.escape(c.heading)}</th>" for c in columns)
    body = []
    for row, used in zip(texts, runs, strict=False):
        cells = "".join(f"<td{_side(c)}>{html.escape(t)}</td>" for c, t in zip(columns, row, strict=True))
        named = f' title="{html.escape(used)}"' if used else ""
        body.append(f"<tr{named}>{cells}</tr>")
    below = f'<p class="note">{html.escape(note)}</p>' if note else ""
    element = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<h3>{html.escape(title)}</h3><div class="table">{element}</div>{below}'


def _side(column: Column) -> str:
    if column.form is None:
        return "" if column.wrap else ' class="t"'
    return ' class="r"'
