"""Where answers stand: in which row and column of a matrix, and beside which others in the list of answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.comparison.cells import Places
from analysis.numbers import size_told
from analysis.reading.results import Results
from analysis.verdicts.verdict import Verdict

SIZE = "train_size"

OF_SEVERAL_SIZES = ("trend", "pooled", "interaction")
"""Kinds of questions whose runs may have one train size by chance alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """An answer, and where it stands."""

    verdict: Verdict
    row: str
    """The architecture, or the question without its train size."""
    value: float | None
    """The train size; None where the question is about several."""
    template: str
    """The text of all questions of its kind, `...` in place of what differs."""
    is_implied: bool
    """Whether nobody wrote the question down, so that the row is an architecture."""


def placed(results: Results, answers: Sequence[Verdict], places: Places) -> Iterator[Placed]:
    """Places answers, but for those that nobody can give yet for want of arms."""
    sizes = _sizes(results)
    for v in answers:
        if v.out_of_reach:
            continue
        if place := places.get(v.setting, {}).get(v.question):
            yield Placed(verdict=v, row=place.label, value=place.value, template=place.template, is_implied=True)
            continue
        found = sizes.reindex(list(v.runs)).dropna().unique()
        value = float(found[0]) if len(found) == 1 and v.kind not in OF_SEVERAL_SIZES else None
        text = _without(v.text, value)
        row = f"{text} ({v.arm})" if text == v.text and v.arm not in v.text else text
        yield Placed(verdict=v, row=row, value=value, template=text, is_implied=False)


def _without(text: str, size: float | None) -> str:
    """The question without its train size, as far as it says it."""
    return text if size is None else text.replace(f" {size_told(size)}", " ...", 1)


def _sizes(results: Results) -> pd.Series:
    """The train size of each run, by its name."""
    frame = results.frame
    if SIZE not in frame:
        return pd.Series(dtype=float)
    sizes = pd.to_numeric(frame[SIZE], errors="coerce")
    found = pd.Series(sizes.to_numpy(), index=frame["run"])
    return found[~found.index.duplicated(keep="last")]
