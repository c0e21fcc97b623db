"""A table as HTML."""

import html
from collections.abc import Sequence
from typing import Any

from analysis.numbers import is_missing, written
from analysis.tables.column import Column
from analysis.tables.pages import page_link

PAGE = '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n{body}\n</html>\n'


def as_html(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Any]],
    runs: Sequence[str],
    note: str,
    *,
    name: str,
    pages: str = "",
) -> str:
    """A table element that the script of the report sorts and filters, and the note.

    `rows` are values; `runs` names, of each row, the runs that it rests on, to whose pages in the folder `pages` its
    numbers lead.
    """
    head = "".join(f"<th{_side(c)}>{html.escape(c.heading)}</th>" for c in columns)
    body = "".join(_row(columns, row, used, pages) for row, used in zip(rows, runs, strict=True))
    below = f'<p class="note">{html.escape(note)}</p>' if note else ""
    parts = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    element = f'<table class="data" data-name="{html.escape(name)}">{parts}</table>'
    return f'<div class="table">{element}</div>{below}'


def _row(columns: Sequence[Column], row: Sequence[Any], used: str, pages: str) -> str:
    """A row whose numbers lead to their run's page, or to the table of every run where there are several."""
    if not used:
        return f"<tr>{''.join(_cell(c, v, '') for c, v in zip(columns, row, strict=True))}</tr>"
    names = used.split(" ")
    link = (page_link(names[0], pages) if len(names) == 1 else "#every-run") if pages else ""
    cells = "".join(_cell(column, value, link) for column, value in zip(columns, row, strict=True))
    known = f'data-runs="{html.escape(used)}"' if link else f'title="{html.escape(used)}"'
    return f"<tr {known}>{cells}</tr>"


def _cell(column: Column, value: Any, link: str) -> str:
    """A value as it is written; of a form that does not sort as it is written, with the number itself."""
    text = html.escape(written(value, column.form))
    exact = f' data-v="{float(value):.9g}"' if column.form in ("M", "s", "p") and _is_number(value) else ""
    inside = f'<a href="{html.escape(link)}">{text}</a>' if link and text and column.form is not None else text
    return f"<td{_side(column)}{exact}>{inside}</td>"


def _is_number(value: Any) -> bool:
    return not is_missing(value) and not isinstance(value, str)


def _side(column: Column) -> str:
    if column.form is None:
        return "" if column.wrap else ' class="t"'
    return ' class="r"'
