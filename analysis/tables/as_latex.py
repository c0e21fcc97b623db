"""A table as LaTeX."""

from collections.abc import Sequence

from analysis.tables.column import Column


def as_latex(columns: Sequence[Column], texts: Sequence[Sequence[str]], title: str, note: str) -> str:
    """A tabular with booktabs' rules; the title and the note are comments above it."""
    aligned = "".join("l" if column.form is None else "r" for column in columns)
    head = " & ".join(_latex(column.heading) for column in columns)
    rows = [" & ".join(map(_latex, row)) + r" \\" for row in texts]
    lines = [
        *(f"% {line}" for line in (title, note) if line),
        rf"\begin{{tabular}}{{{aligned}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


_LATEX = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"−": "$-$", "±": r"$\pm$", "≥": r"$\ge$", "<": r"$<$", ">": r"$>$", "→": r"$\to$", "×": r"$\times$"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
