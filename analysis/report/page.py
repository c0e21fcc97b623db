"""report.html: one file that asks the network for nothing. A matrix of answers first, then what each rests on."""

import base64
import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from analysis.plots import Plot
from analysis.reading.results import Results
from analysis.report.answers import answers_html
from analysis.report.content import Content
from analysis.report.files import write_if_changed
from analysis.report.markdown import markdown_report
from analysis.report.matrix import Matrix, matrices, matrix_html
from analysis.report.provenance import missing, overview, provenance
from analysis.report.run_data import run_data, runs_section
from analysis.report.run_pages import write_run_pages
from analysis.report.templates import script, style, template
from analysis.report.zoomable import zoomable_curves
from analysis.suspicious import Suspicion, suspicious_runs
from analysis.tables.pages import PAGES, page_link
from analysis.tables.table import Table
from analysis.verdicts.verdict import EQUIVALENT, NO, REFUSED, UNDECIDED, YES, Verdict

MOST_ROWS = 2_000
"""Rows of a table that the report shows; the files have all."""

UNFOLDED_ROWS, UNFOLDED_PIXELS = 16, 2_600
"""Tables with more rows are folded, and pictures from this height on, counted at the width that most screens have."""

PIXELS_PER_INCH = 78
"""Of a picture in the page."""

NOT_SHOWN = ("comparisons", "results")
"""Tables that the page shows in another form."""


def write_report(results: Results, answers: Sequence[Verdict], out: Path) -> Path:
    """Write the report, the pages of its runs, the tables (.csv, .md, .tex, .html) and the plots (.png, .svg, .pdf).

    Returns report.html.
    """
    content = Content.of(results, answers)
    for name in ("tables", "plots"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for table in content.tables:
        table.write(out / "tables")
    for plot in content.plots:
        plot.write(out / "plots")
    (out / "report.md").write_text(markdown_report(content), encoding="utf-8")
    return _written(content, out, "")


def write_page(results: Results, answers: Sequence[Verdict], folder: Path, live: str = "") -> Path:
    """Write report.html and the pages of its runs alone, as is done while a sweep runs.

    `live` is the HTML of a section on what runs now. Returns report.html.
    """
    return _written(Content.of(results, answers), folder, live)


def _written(content: Content, folder: Path, live: str) -> Path:
    suspicions = suspicious_runs(content.results)
    page = folder / "report.html"
    write_if_changed(page, html_report(content, suspicions, live))
    write_run_pages(content.results, content.answers, suspicions, folder)  # last, as there may be thousands
    return page


def html_report(content: Content, suspicions: Sequence[Suspicion] = (), live: str = "") -> str:
    """The page: matrix, answers, tables, plots, provenance, and what is missing."""
    results, answers = content.results, content.answers
    notices = "".join(f"<li>{html.escape(line)}</li>" for line in results.notices)
    shown = [table for table in content.tables if len(table.rows) and table.name not in NOT_SHOWN]
    columns = next((table.columns for table in content.tables if table.name == "results"), ())
    found = matrices(content.placed)
    return template("report").substitute(
        style=style(),
        script=script(),
        title=html.escape(f"Results of {results.location}"),
        overview=html.escape(overview(results)),
        links=_links(found, suspicions),
        notices=f'<ul class="notices">{notices}</ul>' if notices else "",
        live=live,
        matrices=_matrices(found),
        suspicious=_suspicious(suspicions),
        answers=answers_html(content.placed, answers),
        tables="".join(_table(table) for table in shown),
        runs=runs_section(results),
        plots=zoomable_curves(results.settings) + "".join(_figures(content.plots)) or "<p>Nothing to draw yet.</p>",
        missing=_listed(missing(results, answers)),
        provenance="".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in provenance(results)
        ),
        data=run_data(results, columns),
    )


def _links(found: Sequence[Matrix], suspicions: Sequence[Suspicion]) -> str:
    parts = [*([("overview", "Overview")] * bool(found)), *([("suspicious", "Suspicious")] * bool(suspicions))]
    parts += [("answers", "Answers"), ("tables", "Tables"), ("every-run", "Every run"), ("compare", "Compare")]
    parts += [("pictures", "Plots"), ("missing", "Missing"), ("provenance", "Provenance")]
    return "".join(f'<a href="#{name}">{text}</a>' for name, text in parts)


def _matrices(found: Sequence[Matrix]) -> str:
    """The matrices by setting, and what the colours are."""
    if not found:
        return ""
    colours = (YES, NO, EQUIVALENT, UNDECIDED, REFUSED)
    legend = "".join(f'<b class="{name}">{name}</b>' for name in colours)
    said = "Arm less baseline with its 95 % interval that holds at any look; in italics, of few seeds, for one look."
    parts = [f'<h2 id="overview">Overview</h2><p class="legend">{legend} {said} A cell leads to its answer.</p>']
    setting = ""
    for matrix in found:
        if matrix.setting != setting:
            setting = matrix.setting
            parts.append(f'<p class="setting">{html.escape(setting)}</p>')
        parts.append(matrix_html(matrix))
    return "".join(parts)


def _suspicious(suspicions: Sequence[Suspicion]) -> str:
    if not suspicions:
        return ""
    lines = "".join(
        f'<li><a href="{page_link(s.run)}">{html.escape(s.run)}</a> {html.escape(s.reason)}</li>' for s in suspicions
    )
    said = "Far from what other runs let expect; they take part in all answers as the others do."
    return f'<h2 id="suspicious">Runs to look at twice</h2><p class="note">{said}</p><ul>{lines}</ul>'


def _table(table: Table) -> str:
    """A table, folded where it is long."""
    inside = table.html(MOST_ROWS, PAGES, with_title=False)
    opened = " open" if len(table.rows) <= UNFOLDED_ROWS else ""
    rows = f"{len(table.rows):,} row{'s' * (len(table.rows) != 1)}"
    title = f"<b>{html.escape(table.title)}</b> <span>{rows}</span>"
    return f'<details class="table-of" id="table-{table.name}"{opened}><summary>{title}</summary>{inside}</details>'


def _figures(plots: Sequence[Plot]) -> Iterator[str]:
    """The first pictures, and the others folded."""
    height = 0.0
    for plot in plots:
        wide, high = plot.figure.get_size_inches()
        height += high * PIXELS_PER_INCH * (1 if wide > WIDE else 0.5)  # narrow ones stand side by side
        yield _figure(plot, opened=height <= UNFOLDED_PIXELS)


WIDE = 7.0
"""Inches from which on a picture has the whole width."""


def _figure(plot: Plot, *, opened: bool) -> str:
    encoded = base64.b64encode(plot.png).decode()
    wide = " wide" if plot.figure.get_size_inches()[0] > WIDE else ""
    alt = html.escape(f"{plot.title}. {plot.caption}")
    source = f"data:image/png;base64,{encoded}"
    picture = f'<div class="scroll"><img class="plot{wide}" alt="{alt}" src="{source}"></div>'
    caption = f"<figcaption>{html.escape(plot.caption)}</figcaption>"
    summary = f"<summary><b>{html.escape(plot.title)}</b></summary>"
    return (
        f'<details class="plot-of" id="plot-{plot.name}"{" open" if opened else ""}>{summary}'
        f"<figure>{picture}{caption}</figure></details>"
    )


MOST_LINES = 20
"""Lines of what is missing beyond which the list is folded."""


def _listed(lines: Iterable[str]) -> str:
    known = list(lines)
    items = "".join(f"<li>{html.escape(line)}</li>" for line in known) or "<li>nothing</li>"
    if len(known) <= MOST_LINES:
        return f"<ul>{items}</ul>"
    return f'<details id="missing-list"><summary>{len(known):,} lines</summary><ul>{items}</ul></details>'
