"""A table as LaTeX, which a document takes in by input: with caption, label, and as many pages as it needs."""

import re
from collections.abc import Iterator, Sequence

from analysis.tables.column import Column
from analysis.tables.latex_layout import SEPARATION, Layout, layouts
from analysis.tables.latex_text import breakable, latex_of

NUMBER = re.compile(r"[+−-]?[\d,.]+[KMGT%]?|")

LONGEST_WORD = 40
"""Of a caption, in characters."""


def as_latex(columns: Sequence[Column], texts: Sequence[Sequence[str]], title: str, note: str, name: str) -> str:
    """A table with booktabs' rules, or several below each other where the columns have no room side by side.

    A column that says the same in all rows is said in the caption. The first line names the packages that the document
    has to load; the label is `tab:NAME`.
    """
    common = {i for i in range(len(columns)) if len(texts) > 2 and len({row[i] for row in texts}) == 1}
    kept = [i for i in range(len(columns)) if i not in common] or list(range(len(columns)))
    headings = [columns[i].heading for i in kept]
    body = [[row[i] for i in kept] for row in texts]
    numbers = {i for i in range(len(kept)) if all(NUMBER.fullmatch(row[i]) for row in body)}
    words = [i for i in range(len(kept)) if i not in numbers]
    labels = [i for i in words if i == words.index(i)]  # the first columns, as far as they are words
    parts = list(layouts([headings, *body], labels, words))
    packages = ["booktabs", "array"]
    packages += ["longtable"] * any(part.is_long for part in parts)
    packages += ["pdflscape"] * any(part.is_landscape for part in parts)
    same = ", ".join(f"{columns[i].heading} {texts[0][i]}" for i in sorted(common) if i not in kept and texts[0][i])
    said = [title, note, f"In all rows: {same}" if same else ""]
    caption = _caption(" ".join(f"{text.rstrip('.')}." for text in said if text))
    lines = [rf"% \usepackage{{{','.join(packages)}}}"]
    for i, part in enumerate(parts):
        label, of = (f"{name}-{i + 1}", f" ({i + 1} of {len(parts)})") if i else (name, "")
        lines += _part(part, headings, body, numbers, f"{caption}{of}", f"tab:{label}")
    return "\n".join(lines) + "\n"


def _caption(text: str) -> str:
    """Breaks words that no line would hold."""
    return breakable(text) if max(map(len, text.split())) > LONGEST_WORD else latex_of(text)


def _part(
    part: Layout, headings: Sequence[str], body: Sequence[Sequence[str]], right: set[int], caption: str, label: str
) -> Iterator[str]:
    """The lines of one table."""
    form = "".join(_form(i, part, right) for i in part.columns)
    spec, head = f"{{@{{}}{form}@{{}}}}", _row(headings, part)
    rows = [_row(row, part) for row in body]
    named = rf"\caption{{{caption}}}\label{{{label}}}"
    letters = rf"\{part.size}\setlength{{\tabcolsep}}{{{SEPARATION:g}pt}}"
    if part.is_landscape:
        yield r"\begin{landscape}"
    if part.is_long:
        again = rf"\multicolumn{{{len(part.columns)}}}{{@{{}}l}}{{Table~\thetable, continued}}\\"
        yield rf"\begingroup{letters}"
        yield rf"\begin{{longtable}}{spec}"
        yield from (rf"{named}\\", r"\toprule", head, r"\midrule", r"\endfirsthead")
        yield from (again, r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot")
        yield from rows
        yield from (r"\end{longtable}", r"\endgroup")
    else:
        above = r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{6pt}"
        yield from (r"\begin{table}[tbp]", r"\centering", above, named, letters)
        yield rf"\begin{{tabular}}{spec}"
        yield from (r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}")
    if part.is_landscape:
        yield r"\end{landscape}"


def _form(i: int, part: Layout, right: set[int]) -> str:
    if i in part.wrapped:
        return rf">{{\raggedright\arraybackslash}}p{{{part.wrapped[i]:.1f}pt}}"
    return "r" if i in right else "l"


def _row(texts: Sequence[str], part: Layout) -> str:
    cells = (breakable(texts[i]) if i in part.wrapped else latex_of(texts[i]) for i in part.columns)
    return " & ".join(cells) + r" \\"
