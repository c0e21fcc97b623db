"""A table as data, and as what people read it in: terminal, notebook, CSV, Markdown, LaTeX, HTML."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table as RichTable

from analysis.numbers import written
from analysis.tables.as_html import PAGE, as_html
from analysis.tables.as_latex import as_latex
from analysis.tables.column import Column


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of full precision; shown are the `columns`, in files for scripts all that the rows have."""

    name: str
    """Its files are called so."""
    title: str
    rows: pd.DataFrame
    columns: Sequence[Column]
    note: str = ""
    """What its numbers are, in a sentence or two."""
    most_shown: int | None = None
    """How many rows are shown at most; the CSV file has all."""

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], **parts: Any) -> "Table":
        """Makes a table of rows as mappings; where there is none, it has the columns' names."""
        frame = pd.DataFrame(list(rows))
        known = [column.name for column in parts["columns"]]
        return cls(rows=frame if len(frame.columns) else pd.DataFrame(columns=known), **parts)

    @property
    def n_shown(self) -> int:
        """How many rows are shown."""
        return len(self.rows) if self.most_shown is None else min(self.most_shown, len(self.rows))

    def shown(self, most: int | None = None) -> Iterator[list[str]]:
        """The texts of the shown columns, row by row."""
        names = [column.name for column in self.columns]
        forms = [column.form for column in self.columns]
        rows = self.rows.reindex(columns=names).head(self.n_shown if most is None else min(most, self.n_shown))
        for values in zip(*(rows[name].tolist() for name in names), strict=True):
            yield [written(value, form) for value, form in zip(values, forms, strict=True)]

    def rich(self) -> RichTable:
        """The table as the terminal shows it."""
        table = RichTable(title=escape(self.title), title_justify="left")
        for column in self.columns:
            justify: Any = "left" if column.form is None else "right"
            fold: Any = "fold" if column.wrap else "ellipsis"
            table.add_column(escape(column.heading), justify=justify, no_wrap=not column.wrap, overflow=fold)
        for texts in self.shown():
            table.add_row(*map(escape, texts))
        return table

    def csv(self) -> str:
        """All columns of the rows, in full precision."""
        return str(self.rows.to_csv(index=False, lineterminator="\n"))

    def markdown(self) -> str:
        """A table of GitHub's Markdown, with its title."""
        lines = [
            _markdown_row([column.heading for column in self.columns]),
            _markdown_row(["---" if column.form is None else "---:" for column in self.columns]),
            *(_markdown_row(texts) for texts in self.shown()),
        ]
        return "\n\n".join(filter(None, [f"**{self.title}**", "\n".join(lines), self.note])) + "\n"

    def latex(self) -> str:
        """A table with caption and label (see `as_latex`)."""
        return as_latex(self.columns, list(self.shown()), self.title, self.note, self.name)

    def html(self, most: int | None = None) -> str:
        """The title and a table element; a row's title names the runs that it rests on. At most `most` rows."""
        texts = list(self.shown(most))
        runs = [str(used) for used in self.rows["runs"]] if "runs" in self.rows else [""] * len(texts)
        left_out = len(self.rows) - len(texts)
        note = self.note + (f" {left_out:,} more rows in tables/{self.name}.csv." if left_out else "")
        return as_html(self.columns, texts, runs, self.title, note)

    def _repr_html_(self) -> str:
        return self.html(most=200)

    def write(self, folder: Path) -> None:
        """Leave it as NAME.csv, .md, .tex and .html; without rows as an empty CSV alone."""
        forms: Mapping[str, Callable[[], str]] = {
            "csv": self.csv,
            "md": self.markdown,
            "tex": self.latex,
            "html": lambda: PAGE.format(title=html.escape(self.title), body=self.html()),
        }
        for ending, form in forms.items() if len(self.rows) else [("csv", self.csv)]:
            (folder / f"{self.name}.{ending}").write_text(form(), encoding="utf-8")


def _markdown_row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", r"\|").replace("\n", " ") for text in texts) + " |"


__all__ = ["Column", "Table"]
