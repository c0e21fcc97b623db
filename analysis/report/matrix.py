"""The first thing that a report shows: questions, or architectures, by train size, a cell for each answer."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.comparison.cells import Place, Places
from analysis.ordering import natural
from analysis.reading.results import Results
from analysis.report.links import anchor
from analysis.verdicts.beside import n_of
from analysis.verdicts.scale import bounds, signed
from analysis.verdicts.verdict import OPEN, Verdict
from analysis.verdicts.wording import answer, estimate

SIZE = "train_size"
OVER = "over all sizes"
"""The column of questions about several sizes."""

MOST_LETTERS = 110
"""Letters of a question that its row shows; hovering shows all."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The answers of a setting about one metric, or about several where there is one size alone."""

    setting: str
    about: str
    """What the cells compare, for all of them; "" where each row says it."""
    columns: Sequence[str]
    rows: Mapping[str, Mapping[str, Sequence[Verdict]]]
    """By the text of the row and the column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placed:
    verdict: Verdict
    row: str
    value: float | None
    about: str


def matrices(results: Results, answers: Sequence[Verdict], places: Places) -> list[Matrix]:
    """One for each setting, metric and kind of question; questions that nobody can answer yet have no rows."""
    sizes = _sizes(results)
    by_setting: dict[str, list[_Placed]] = {}
    for v in answers:
        if not v.out_of_reach:
            by_setting.setdefault(v.setting, []).append(_placed(v, places.get(v.setting, {}), sizes))
    return [matrix for title, placed in by_setting.items() for matrix in _of_setting(title, placed)]


def matrix_html(matrix: Matrix) -> str:
    """The matrix as a table whose cells lead to the answers."""
    common = _common_n(matrix)
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in matrix.columns)
    body = "".join(
        f'<tr><th scope="row"{_title(row)}>{html.escape(_short(row))}</th>'
        f"{''.join(_cell(cells.get(column, ()), common) for column in matrix.columns)}</tr>"
        for row, cells in matrix.rows.items()
    )
    told = "  ".join(filter(None, [matrix.about, common]))
    about = f"<caption>{html.escape(told)}</caption>" if told else ""
    table = f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="table"><table class="matrix">{about}{table}</table></div>'


def _of_setting(title: str, placed: Sequence[_Placed]) -> Iterator[Matrix]:
    """Implied questions of one kind and metric by size; the others by size, or where they have one, by metric."""
    implied: dict[tuple[str, str], list[_Placed]] = {}
    asked = [p for p in placed if not p.about]
    for p in placed:
        if p.about:
            implied.setdefault((_sides(p.verdict), p.verdict.metric), []).append(p)
    for (_, metric), members in implied.items():
        about = f"{members[0].about}  {metric}, {_unit(members)}"
        yield _by_size(title, about, sorted(members, key=lambda p: natural(p.row)))
    values = {p.value for p in asked if p.value is not None}
    if len(values) > 1:
        several = len({p.verdict.metric for p in asked}) > 1
        yield _by_size(title, "", asked, with_metric=several)
    elif asked:
        metrics = tuple(dict.fromkeys(p.verdict.metric for p in asked))
        yield _filled(title, "", metrics, ((p.row, p.verdict.metric, p.verdict) for p in asked))


def _by_size(title: str, about: str, placed: Sequence[_Placed], *, with_metric: bool = False) -> Matrix:
    sizes = sorted({p.value for p in placed if p.value is not None})
    columns = [*map(_spoken, sizes), *([OVER] * any(p.value is None for p in placed))]
    cells = (
        (
            f"{p.row}: {p.verdict.metric}" if with_metric else p.row,
            OVER if p.value is None else _spoken(p.value),
            p.verdict,
        )
        for p in placed
    )
    return _filled(title, about, columns, cells)


def _filled(title: str, about: str, columns: Sequence[str], cells: Iterable[tuple[str, str, Verdict]]) -> Matrix:
    rows: dict[str, dict[str, list[Verdict]]] = {}
    for row, column, v in cells:
        rows.setdefault(row, {}).setdefault(column, []).append(v)
    return Matrix(setting=title, about=about, columns=columns, rows=rows)


def _placed(v: Verdict, known: Mapping[str, Place], sizes: pd.Series) -> _Placed:
    if place := known.get(v.question):
        return _Placed(verdict=v, row=place.label, value=place.value, about=place.template)
    found = sizes.reindex(list(v.runs)).dropna().unique()
    value = float(found[0]) if len(found) == 1 and v.kind not in ("trend", "pooled", "interaction") else None
    arm = f"{v.text} ({v.arm})" if v.arm and v.arm not in v.text else v.text
    return _Placed(verdict=v, row=arm, value=value, about="")


def _sides(v: Verdict) -> str:
    """What implied questions have in common whose answers stand in one matrix: differences and their trend do."""
    return "trend" if v.kind in ("difference", "trend") else v.kind


def _sizes(results: Results) -> pd.Series:
    """The train size of each run, by its name."""
    frame = results.frame
    if SIZE not in frame:
        return pd.Series(dtype=float)
    sizes = pd.to_numeric(frame[SIZE], errors="coerce")
    found = pd.Series(sizes.to_numpy(), index=frame["run"])
    return found[~found.index.duplicated(keep="last")]


def _spoken(size: float) -> str:
    """`10 %`, or a number of images."""
    return f"{100 * size:g} %" if size <= 1 else f"{size:g} images"


def _unit(members: Sequence[_Placed]) -> str:
    """The unit of the cells, and of the column over all sizes where there is one."""
    unit = next((p.verdict.unit for p in members if p.verdict.unit), "")
    return f"{unit} (over all sizes: per doubling)" if any(p.verdict.kind == "trend" for p in members) else unit


def _common_n(matrix: Matrix) -> str:
    """`n = 5` where all cells have as many pairs; else "", and each cell says its own."""
    found = {n_of(v) for cells in matrix.rows.values() for members in cells.values() for v in members if v.n}
    return found.pop() if len(found) == 1 else ""


def _cell(found: Sequence[Verdict], common: str) -> str:
    if not found:
        return "<td></td>"
    return f'<td class="{found[0].answer}">{"".join(_linked(v, common) for v in found)}</td>'


def _linked(v: Verdict, common: str) -> str:
    """The estimate, its interval, and how many pairs unless all have as many; hovering says all in words."""
    title = html.escape(f"{v.text} {v.metric}: {answer(v)}. {estimate(v)}")
    if v.estimate is None:
        text = f"<b>{v.answer}</b>"
    else:
        interval = bounds(v, v.interval) if v.interval else ""
        fixed = f"<i>{bounds(v, v.interval_fixed)}</i>" if not interval and v.interval_fixed else ""
        below = " ".join(filter(None, [html.escape(interval) or fixed, n_of(v) if v.n and n_of(v) != common else ""]))
        text = f"<b>{html.escape(signed(v, v.estimate))}</b><small>{below}</small>"
    return f'<a class="{"open" if v.answer == OPEN else v.answer}" href="#{anchor(v)}" title="{title}">{text}</a>'


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 4].rsplit(' ', 1)[0]} ..."


def _title(text: str) -> str:
    return f' title="{html.escape(text)}"' if len(text) > MOST_LETTERS else ""
