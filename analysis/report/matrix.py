"""The first thing that a report shows: questions, or architectures, by train size, a cell for each answer."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.numbers import size_told
from analysis.ordering import natural
from analysis.report.links import anchor
from analysis.report.placing import Placed
from analysis.verdicts.beside import n_of
from analysis.verdicts.scale import bounds, signed
from analysis.verdicts.verdict import OPEN, Verdict
from analysis.verdicts.wording import answer, estimate

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


def matrices(answers: Sequence[Placed]) -> list[Matrix]:
    """One for each setting, metric and kind of question."""
    by_setting: dict[str, list[Placed]] = {}
    for p in answers:
        by_setting.setdefault(p.verdict.setting, []).append(p)
    return [matrix for title, members in by_setting.items() for matrix in _of_setting(title, members)]


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


def _of_setting(title: str, answers: Sequence[Placed]) -> Iterator[Matrix]:
    """Implied questions by architecture and size; the others by size, or where they have one alone, by metric."""
    implied: dict[tuple[str, str], list[Placed]] = {}
    asked = [p for p in answers if not p.is_implied]
    for p in answers:
        if p.is_implied:
            implied.setdefault((_sides(p.verdict), p.verdict.metric), []).append(p)
    for (_, metric), members in implied.items():
        about = f"{members[0].template}  {metric}, {_unit(members)}"
        yield _by_size(title, about, sorted(members, key=lambda p: natural(p.row)))
    if len({p.value for p in asked if p.value is not None}) > 1:
        yield _by_size(title, "", asked, with_metric=len({p.verdict.metric for p in asked}) > 1)
    elif asked:
        metrics = tuple(dict.fromkeys(p.verdict.metric for p in asked))
        yield _filled(title, "", metrics, ((p.row, p.verdict.metric, p.verdict) for p in asked))


def _by_size(title: str, about: str, answers: Sequence[Placed], *, with_metric: bool = False) -> Matrix:
    sizes = sorted({p.value for p in answers if p.value is not None})
    columns = [*map(size_told, sizes), *([OVER] * any(p.value is None for p in answers))]
    cells = (
        (
            f"{p.row} {p.verdict.metric}" if with_metric else p.row,
            OVER if p.value is None else size_told(p.value),
            p.verdict,
        )
        for p in answers
    )
    return _filled(title, about, columns, cells)


def _filled(title: str, about: str, columns: Sequence[str], cells: Iterable[tuple[str, str, Verdict]]) -> Matrix:
    rows: dict[str, dict[str, list[Verdict]]] = {}
    for row, column, v in cells:
        rows.setdefault(row, {}).setdefault(column, []).append(v)
    return Matrix(setting=title, about=about, columns=columns, rows=rows)


def _sides(v: Verdict) -> str:
    """What implied questions have in common whose answers stand in one matrix: differences and their trend do."""
    return "trend" if v.kind in ("difference", "trend") else v.kind


def _unit(members: Sequence[Placed]) -> str:
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
