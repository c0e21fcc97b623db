"""A page for each run: what it was, what differs from its neighbours, its curves, and how to repeat it."""

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from analysis.comparison.differing import NEVER_SHOWN, part_of
from analysis.comparison.neighbours import Neighbour, Neighbours
from analysis.comparison.runs import without_effect
from analysis.numbers import is_missing, written
from analysis.ordering import run_order
from analysis.reading.results import Results
from analysis.report.files import write_if_changed
from analysis.report.links import anchor
from analysis.report.run_curves import curves_html
from analysis.report.templates import script, style, template
from analysis.suspicious import Suspicion
from analysis.tables.pages import PAGES, page_file, page_link
from analysis.verdicts.commands import sweep_command
from analysis.verdicts.verdict import OPEN, Verdict
from analysis.verdicts.wording import answer, estimate
from raysweep.ledger import FINISHED

METRIC = "final_acc"
"""What neighbours are compared by."""

NAMING = (
    *("experiment", "selection", "dataset", "prepared", "data_dir"),
    *("num_workers", "set", "trainable", "imported"),
)
"""What the command of a run is made of, its seed aside."""

MOST_BESIDE = 60
"""Neighbours and seeds that a page lists."""

REPEATED = "repeated"
"""The results folder of the command that repeats a run: where it was recorded, it counts as done."""


Run = Mapping[str, Any]
"""A row of the frame of runs."""


@dataclass(kw_only=True)
class _Context:
    """What the pages of a setting have in common."""

    location: str
    config: set[str]
    """The columns that are fields of configurations."""
    cosmetic: set[str] = field(default_factory=set)
    """Those of them that cannot have changed the numbers."""
    arms: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    """The finished runs of each experiment, by seed."""
    beside: Mapping[str, Sequence[Neighbour]] = field(default_factory=dict)
    """The neighbours of each experiment."""
    answers: dict[str, list[Verdict]] = field(default_factory=dict)
    """The answers that a run takes part in, by its name."""
    notes: dict[str, list[str]] = field(default_factory=dict)
    """What people noted on a run, by its name."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why to look at a run twice, by its name."""


def write_run_pages(results: Results, answers: Sequence[Verdict], suspicions: Sequence[Suspicion], folder: Path) -> int:
    """Write FOLDER/pages/RUN.html of each run that has ended, beside FOLDER/report.html. Returns how many have changed;
    the files of others are left as they are."""
    pages = folder / PAGES
    known = _Context(location=results.location, config=set(results.config))
    for v in answers:
        for name in v.runs:
            known.answers.setdefault(name, []).append(v)
    for note in results.notes:
        known.notes.setdefault(note.run, []).append(str(note))
    known.reasons |= {s.run: s.reason for s in suspicions}
    changed = sum(
        write_if_changed(pages / page_file(run["run"]), _page(run, context))
        for rows, context in _parts(results, known)
        for run in _runs(rows)
    )
    if len(results.frame):
        write_if_changed(pages / "page.css", style())
        write_if_changed(pages / "page.js", script())
    return changed


def _parts(results: Results, known: _Context) -> Iterator[tuple[pd.DataFrame, _Context]]:
    """The runs of each setting with what they have in common; then those of none, such as the older one of a seed that
    is there twice, and those that notes leave out."""
    apart = results.frame if results.excluded is None else pd.concat([results.frame, results.excluded])
    for setting in results.settings:
        rows = pd.concat([setting.runs, setting.ended])
        if rows.empty:
            continue
        arms: dict[str, list[Run]] = {}
        for run in _runs(setting.runs):
            arms.setdefault(str(run["experiment"]), []).append(run)
        neighbours = Neighbours.of(setting)
        beside = {name: list(neighbours.beside(name)) for name in arms}
        yield rows, replace(known, arms=arms, beside=beside, cosmetic=without_effect(rows))
        apart = apart[~apart["run"].isin(rows["run"])]
    if len(apart):
        yield apart, replace(known, cosmetic=without_effect(apart))


def _runs(rows: pd.DataFrame) -> list[Run]:
    return [{str(name): value for name, value in row.items()} for row in run_order(rows).to_dict("records")]


def _page(run: Run, context: _Context) -> str:
    seed = "" if is_missing(run["seed"]) else f" seed {run['seed']}"
    values = {name: value for name, value in run.items() if not is_missing(value)}
    parts: dict[str, list[tuple[str, Any]]] = {"configuration": [], "results": [], "provenance": []}
    for name, value in values.items():
        if name not in NEVER_SHOWN:
            parts[part_of(name, context.config)].append((name, value))
    reason = context.reasons.get(run["run"], "")
    error = f"{run['status']}: {run.get('error') or ''}" if run["status"] != FINISHED else ""
    return template("run").substitute(
        title=html.escape(f"{run['experiment']}{seed}"),
        location=html.escape(context.location),
        overview=html.escape(_overview(run)),
        error=f'<ul class="notices"><li>{html.escape(error)}</li></ul>' if error else "",
        notes="".join(f"<li>{html.escape(note)}</li>" for note in context.notes.get(run["run"], ())),
        suspicious=f'<ul class="notices"><li>to look at twice: {html.escape(reason)}</li></ul>' if reason else "",
        results=_facts(parts["results"], context) or "<p>It has none.</p>",
        curves=curves_html(run, context.arms.get(str(run["experiment"]), ())),
        configuration=_facts(parts["configuration"], context),
        beside=_beside(run, context),
        questions=_questions(context.answers.get(run["run"], ())),
        again=_again(run),
        provenance=_facts([*_files(run, context.location), *parts["provenance"], *_story(run)], context),
        record=html.escape(json.dumps(_jsonable(values), indent=1, ensure_ascii=False)),
    )


def _overview(run: Run) -> str:
    group = f" of group {run['group']}" if run.get("group") else ""
    why = f" ({run['why']})" if isinstance(run.get("why"), str) and run["why"] else ""
    final = f", {METRIC} {run[METRIC]:.2f}" if not is_missing(run.get(METRIC)) else ""
    return f"{run['run']}{group}{why} on {run['dataset']}: {run['status']}{final}."


def _facts(facts: Iterable[tuple[str, Any]], context: _Context) -> str:
    """Names and values, in as many columns as there is room for; what has no effect on the numbers is said."""
    without = (context.config & context.cosmetic) - {"dataset"}  # which data it is, their fingerprint says
    rows = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(_spoken(value))}"
        f"{' <span>without effect</span>' if name in without else ''}</dd></div>"
        for name, value in facts
    )
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def _beside(run: Run, context: _Context) -> str:
    """Other seeds of it, and the experiments that differ in one field, with what they reached."""
    name = str(run["experiment"])
    parts = []
    if others := [other for other in context.arms.get(name, ()) if other["run"] != run["run"]]:
        more = f" and {len(others) - MOST_BESIDE} more" if len(others) > MOST_BESIDE else ""
        parts.append(f"<p>Other seeds: {', '.join(map(_seed_link, others[:MOST_BESIDE]))}{more}</p>")
    beside = context.beside.get(name, ())
    if rows := "".join(_neighbour_row(run, other, context.arms[other.experiment]) for other in beside[:MOST_BESIDE]):
        head = f"<tr><th>experiment</th><th>differs in</th><th>{METRIC}</th><th>n</th></tr>"
        said = f"<p>The first {MOST_BESIDE} of {len(beside)}.</p>" if len(beside) > MOST_BESIDE else ""
        table = f'<table class="data" data-name="beside"><thead>{head}</thead><tbody>{rows}</tbody></table>'
        parts.append(f'<div class="table">{table}</div>{said}')
    return "".join(parts) or "<p>No other run of these results is the same but for the seed or one field.</p>"


def _neighbour_row(run: Run, other: Neighbour, theirs: Sequence[Run]) -> str:
    """A neighbour: its run with the same seed, where there is one, and the mean over its seeds."""
    shown = next((known for known in theirs if known["seed"] == run["seed"]), theirs[0])
    values = [float(known[METRIC]) for known in theirs if not is_missing(known.get(METRIC))]
    reached = f"{fmean(values):.2f}" if values else ""
    link = f'<a href="{page_link(shown["run"], "")}">{html.escape(other.experiment)}</a>'
    differs = f"{other.field}: {_spoken(other.value)} instead of {_spoken(run.get(other.field))}"
    return (
        f'<tr><td>{link}</td><td>{html.escape(differs)}</td><td class="r">{reached}</td>'
        f'<td class="r">{len(theirs)}</td></tr>'
    )


def _seed_link(other: Run) -> str:
    reached = "" if is_missing(other.get(METRIC)) else f" ({other[METRIC]:.2f})"
    seed = "none" if is_missing(other["seed"]) else str(other["seed"])
    return f'<a href="{page_link(other["run"], "")}">{seed}</a>{reached}'


def _questions(answers: Sequence[Verdict]) -> str:
    lines = "".join(
        f'<li><a href="../report.html#{anchor(v)}">{html.escape(v.text)}</a> {html.escape(v.metric)}: '
        f'<span class="{v.answer}"><b class="answer">{html.escape(answer(v))}</b></span> '
        f"{html.escape(estimate(v))}</li>"
        for v in answers
        if v.answer != OPEN
    )
    return f"<ul>{lines}</ul>" if lines else "<p>None.</p>"


def _again(run: Run) -> str:
    """The command that does the same again, elsewhere."""
    row = pd.DataFrame([{name: run.get(name) for name in NAMING}])
    seeds = [] if is_missing(run["seed"]) else [int(run["seed"])]
    command = sweep_command(row, seeds, location=REPEATED)
    if not command:
        return "<p>It was imported: the code of others made it.</p>"
    code = run.get("code")
    own = (
        f"<p>With the code that it was made with, in the place of the result that there is: <code>--redo "
        f"{html.escape(str(run['run']))} --with-its-own-code</code> added to the command of its sweep.</p>"
        if isinstance(code, str) and code
        else ""
    )
    return f"<pre>{html.escape(command)}</pre>{own}"


def _files(run: Run, location: str) -> Iterator[tuple[str, str]]:
    """Where its record, its attempts and its checkpoint lie; those of a run that was trained under another name."""
    trained = run["same_as"] if isinstance(run.get("same_as"), str) else run["run"]
    yield "record", f"{location}/records/{run['run']}.json"
    if trained != run["run"]:
        yield "trained as", trained
    if is_missing(run.get("imported")):
        yield "attempts", f"{location}/attempts/{trained}"
        yield "checkpoints", f"{location}/runs/{trained}"


def _story(run: Run) -> Iterator[tuple[str, Any]]:
    """What happened to it: its log, as far as a record keeps it."""
    for name in ("started", "finished", "attempt", "restarts", "trial", "kind", "error"):
        if not is_missing(run.get(name)) and run.get(name) != "":
            yield name, run[name]


def _spoken(value: Any) -> str:
    if is_missing(value):
        return "none"
    if isinstance(value, list | dict):
        return json.dumps(value, default=str)
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1e4 else f"{value:.6g}"
    return written(value, None)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _jsonable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    return (
        value.item() if hasattr(value, "item") else value if isinstance(value, str | int | float | bool) else str(value)
    )
