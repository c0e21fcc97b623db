"""What `--out DIR` leaves behind: report.html (one file, no network), report.md, tables/ and plots/."""

import base64
import html
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

import pandas as pd

from analysis.numbers import count
from analysis.plots import Plot, all_plots
from analysis.reading.results import Results, searched
from analysis.tables.overall import all_tables
from analysis.tables.table import Table
from analysis.verdicts.verdict import OPEN, Verdict
from analysis.verdicts.wording import (
    answer,
    basis,
    by_question,
    estimate,
    footnotes,
    html_of,
    remarks,
    what_would_settle,
)

MOST_ROWS = 400
"""Rows of a table that the report shows; the files have all."""


def write_report(results: Results, answers: Sequence[Verdict], out: Path) -> Path:
    """Write the report, the tables (.csv, .md, .tex, .html) and the plots (.png, .svg). Returns report.html."""
    tables, plots = all_tables(results, list(answers)), all_plots(results, answers)
    for name in ("tables", "plots"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for table in tables:
        table.write(out / "tables")
    for plot in plots:
        plot.write(out / "plots")
    (out / "report.md").write_text(markdown_report(results, answers, tables, plots), encoding="utf-8")
    page = out / "report.html"
    page.write_text(html_report(results, answers, tables, plots), encoding="utf-8")
    return page


def html_report(results: Results, answers: Sequence[Verdict], tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    """The answers first, then tables and plots, provenance, and what is missing."""
    page = Template((Path(__file__).parent / "report.html.in").read_text(encoding="utf-8"))
    notices = "".join(f"<li>{html.escape(line)}</li>" for line in results.notices)
    shown = [table for table in tables if len(table.rows) and table.name not in ("comparisons", "results")]
    pictures = "".join(_figure(plot) for plot in plots)
    return page.substitute(
        title=html.escape(f"Results of {results.location}"),
        overview=html.escape(overview(results)),
        notices=f'<ul class="notices">{notices}</ul>' if notices else "",
        answers=_answers(answers) + "".join(f'<p class="note">{html.escape(line)}</p>' for line in footnotes(answers))
        or "<p>No questions were written down with these results.</p>",
        tables="".join(f'<section id="{table.name}">{table.html(MOST_ROWS)}</section>' for table in shown),
        runs="".join(table.html(MOST_ROWS) for table in tables if table.name == "results"),
        plots=pictures or "<p>Nothing to draw yet.</p>",
        missing="".join(f"<li>{html.escape(line)}</li>" for line in missing(results, answers)) or "<li>nothing</li>",
        provenance="".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in provenance(results)
        ),
    )


def markdown_report(
    results: Results, answers: Sequence[Verdict], tables: Sequence[Table], plots: Sequence[Plot]
) -> str:
    """What report.html says, with the plots as links to their files."""
    lines = [f"# Results of {results.location}", "", overview(results), ""]
    lines += [f"- {notice}" for notice in results.notices]
    lines += ["", "## Answers", ""]
    for answered in by_question(answers):
        lines += [f"### {answered.text}", "", f"*{answered.setting}*", ""]
        for v in answered.verdicts:
            said = ", ".join(filter(None, [estimate(v), basis(v)]))
            lines.append(f"- **{v.metric}: {answer(v)}** {said}")
            lines += [f"  - {text}" for text in filter(None, [*remarks(v), what_would_settle(v)])]
            if v.needed and v.needed.command:
                lines.append(f"  - `{v.needed.command}`")
        lines.append("")
    lines += [text for line in footnotes(answers) for text in (line, "")]
    lines += ["## Tables", "", *(table.markdown() for table in tables if 0 < table.n_shown <= MOST_ROWS)]
    lines += ["## Plots", ""]
    for plot in plots:
        lines += [f"![{plot.title}](plots/{plot.name}.png)", "", plot.caption, ""]
    lines += ["## Missing", "", *(f"- {line}" for line in missing(results, answers) or ["nothing"])]
    lines += ["", "## Provenance", "", *(f"- {name}: {value}" for name, value in provenance(results)), ""]
    return "\n".join(lines)


def overview(results: Results) -> str:
    """How many runs of what ended how."""
    status = Counter(results.frame["status"])
    runs = ", ".join(f"{n:,} {name}" for name, n in status.items())
    datasets = ", ".join(results.frame["dataset"].unique())
    return (
        f"{len(results.frame):,} runs ({runs}) of {results.frame['experiment'].nunique():,} experiments on {datasets}."
    )


def missing(results: Results, answers: Sequence[Verdict]) -> list[str]:
    """Runs of the plan without a result, runs that did not finish, and questions that are open."""
    done = {*results.frame["run"], *(() if results.excluded is None else results.excluded["run"])}
    absent = Counter(entry["experiment"] for entry in results.plan if entry["run"] not in done)
    lines = [f"{name}: {count(n, 'planned run')} without a result" for name, n in absent.items()]
    lines += [line for setting in results.settings for line in _ended(setting.ended)]
    opened = dict.fromkeys(f"{v.text} {v.reason}" for v in answers if v.answer == OPEN)
    return [*lines, *opened]


def provenance(results: Results) -> Iterator[tuple[str, str]]:
    """What computed the numbers, and what read them."""
    spoken = {
        "revision": "code",
        "code": "copies of the code",
        "hostname": "machines",
        "device_name": "devices",
        "python_version": "Python",
        "torch_version": "torch",
        "ray_version": "Ray",
        "numpy_version": "NumPy",
        "data": "data",
    }
    for column, name in spoken.items():
        if column in results.frame:
            values = results.frame[column].dropna().astype(str).value_counts()
            if len(values):
                named = ", ".join(f"{value} ({n})" for value, n in values.head(6).items())
                yield name, named + ", ..." * (len(values) > 6)
    if "imported" in results.frame and (imported := int(results.frame["imported"].notna().sum())):
        yield "imported", f"{imported} runs of the authors' own code"
    if "finished" in results.frame:
        times = results.frame["finished"].dropna().astype(str)
        if len(times):
            yield "finished", f"{times.min()} to {times.max()}"
    hashes = [asked.hash for asked in results.questions]
    if hashes:
        yield "questions", f"{len(hashes)} written down: {', '.join(hashes[:4])}{', ...' * (len(hashes) > 4)}"
    yield "analysis", f"raysweep {_own_version()}, scipy {version('scipy')}, pandas {pd.__version__}"


def _own_version() -> str:
    try:
        return version("raysweep")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "of a checkout"


def _answers(answers: Sequence[Verdict]) -> str:
    """Questions by setting; those that are wholly open come last, in one list."""
    parts: list[str] = []
    setting = ""
    opened: list[str] = []
    for answered in by_question(answers):
        if all(v.answer == OPEN for v in answered.verdicts):
            opened.append(
                f"<li>{html.escape(answered.text)} <span>{html.escape(answered.verdicts[0].reason)}</span></li>"
            )
            continue
        if answered.setting != setting:
            setting = answered.setting
            parts.append(f'<p class="setting">{html.escape(setting)}</p>')
        parts.append(html_of(answered))
    if opened:
        parts.append(f'<h3>Open</h3><ul class="open">{"".join(dict.fromkeys(opened))}</ul>')
    return "".join(parts)


def _figure(plot: Plot) -> str:
    encoded = base64.b64encode(plot.png).decode()
    wide = " wide" if plot.figure.get_size_inches()[0] > 7 else ""
    alt = html.escape(f"{plot.title}. {plot.caption}")
    picture = f'<div class="scroll"><img class="plot{wide}" alt="{alt}" src="data:image/png;base64,{encoded}"></div>'
    caption = f"<figcaption>{html.escape(plot.caption)}</figcaption>"
    return f"<figure><h3>{html.escape(plot.title)}</h3>{picture}{caption}</figure>"


def _ended(ended: pd.DataFrame) -> Iterator[str]:
    """A line for each run that failed or diverged."""
    for _, run in ended[~searched(ended)].iterrows() if len(ended) else ():
        yield f"{run['experiment']} seed {run['seed']} {run['status']}: {run['error']}"
