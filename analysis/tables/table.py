"""A table as data, and as what people read it in: terminal, notebook, CSV, Markdown, LaTeX, HTML."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from analysis.numbers import written
from analysis.tables.as_html import PAGE, as_html
from analysis.tables.as_latex import as_latex
from analysis.tables.column import Column
from analysis.tables.fitting import broken, fitted


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
    file: str = ""
    """The name of the file that has all of it, if that is not its own."""

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
        forms = [column.form for column in self.columns]
        for values in self._values(most):
            yield [written(value, form) for value, form in zip(values, forms, strict=True)]

    def _values(self, most: int | None) -> list[tuple[Any, ...]]:
        """The values of the shown columns, row by row."""
        names = [column.name for column in self.columns]
        rows = self.rows.reindex(columns=names).head(self.n_shown if most is None else min(most, self.n_shown))
        return list(zip(*(rows[name].tolist() for name in names), strict=True))

    def rich(self, width: int) -> Group:
        """The table as a terminal of so many characters shows it: title, the columns that fit, the note, and which
        columns were left out."""
        rows = list(self.shown())
        fit = fitted(self.columns, rows, width)
        table = RichTable()
        for place, wide in zip(fit.columns, fit.widths, strict=True):
            column = self.columns[place]
            justify: Any = "left" if column.form is None else "right"
            heading = Text(broken(column.heading, wide))
            table.add_column(heading, justify=justify, width=wide, no_wrap=True, overflow="crop")
        for texts in rows:
            cells = (Text(broken(texts[i], wide)) for i, wide in zip(fit.columns, fit.widths, strict=True))
            table.add_row(*cells)
        below = [self.note] if self.note else []
        if fit.left_out:
            file = f"tables/{self.file or self.name}.csv"
            below.append(f"left out for width: {', '.join(fit.left_out)}; python -m analysis --out has all in {file}")
        return Group(Text(self.title, style="italic"), table, *(Text(line, style="dim") for line in below))

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

    def html(self, most: int | None = None, pages: str = "", *, with_title: bool = True) -> str:
        """The title and a table element, at most `most` rows.

        What the numbers rest on is a row's title, or, where there is a folder `pages` of runs' pages, a link.
        """
        rows = self._values(most)
        runs = [str(used) for used in self.rows["runs"].head(len(rows))] if "runs" in self.rows else [""] * len(rows)
        left_out = len(self.rows) - len(rows)
        note = self.note + (
            f" {left_out:,} more rows in tables/{self.name}.csv of `python -m analysis RESULTS --out DIR`."
            if left_out
            else ""
        )
        title = f"<h3>{html.escape(self.title)}</h3>" if with_title else ""
        return title + as_html(self.columns, rows, runs, note, name=self.name, pages=pages)

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
