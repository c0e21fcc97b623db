"""In words, what stands beside an answer: other tests of the same values, and how much the cells of a grid differ."""

import math
from collections.abc import Iterator

from analysis.numbers import with_unit
from analysis.verdicts.scale import bounds, signed, spoken_p
from analysis.verdicts.verdict import Verdict

MOST_CELLS = 6
"""A line names at most so many cells."""


def n_of(v: Verdict) -> str:
    """`n = 5`; of a grid, `36 cells, n = 1 each` or `14 cells, n = 2 to 5 each`."""
    if v.kind != "pooled":
        return f"n = {v.n}"
    if v.pooled is None:
        return f"{v.n} cells"
    fewest, most = v.pooled.seeds
    return f"{v.n} cells, n = {fewest if fewest == most else f'{fewest} to {most}'} each"


def sensitivity_remark(v: Verdict) -> str:
    """What other tests of the same values say; "" where there are none."""
    found, parts = v.sensitivity, []
    if found is None:
        return ""
    if m := found.moderated:
        d0 = "infinite" if math.isinf(m.d0) else f"{m.d0:.1f}"
        prior = f"d0 {d0}, s0 {m.s0:.2g} over {m.cells} cells"
        parts.append(f"moderated t p {spoken_p(m.p)} {bounds(v, m.interval)} ({prior})")
    if found.unpaired:
        parts.append(f"unpaired (Welch) p {spoken_p(found.unpaired.p)} {bounds(v, found.unpaired.interval)}")
    if found.correlation:
        r, (low, high) = found.correlation
        parts.append(f"correlation of the pairs {r:+.2f} [{low:+.2f}, {high:+.2f}]")
    return f"beside it, for a fixed n and not corrected: {'; '.join(parts)}" if parts else ""


def pooled_remarks(v: Verdict) -> Iterator[str]:
    """How much cells differ, where one more is to be expected, and which of them stand out."""
    pooled = v.pooled
    if pooled is None:
        return
    expected = f"one more cell is expected within {bounds(v, pooled.prediction)}"
    if h := pooled.heterogeneity:
        yield (
            f"cells differ by {_sized(v, h.tau)} beyond the noise of seeds (tau; I2 {h.share:.0%}, Q {h.q:.1f}, "
            f"Brown-Forsythe p {spoken_p(h.p)}); {expected}"
        )
    else:
        yield (
            f"cells spread by {_sized(v, pooled.spread)} (standard deviation), noise of seeds included: so few seeds "
            f"do not tell the two apart; {expected}, noise included"
        )
    above = f"{pooled.above} of {pooled.cells} cells are above zero"
    away = sorted(pooled.differing.items(), key=lambda cell: cell[1][1])
    if not away:
        yield f"{above}; none stands out from the others (Holm over {pooled.cells})"
        return
    named = [f"{name} {signed(v, distance)} (p {spoken_p(p)})" for name, (distance, p) in away[:MOST_CELLS]]
    more = f", and {len(away) - MOST_CELLS} more" if len(away) > MOST_CELLS else ""
    yield f"{above}; beyond the mean of the others (Holm over {pooled.cells}): {', '.join(named)}{more}"


def _sized(v: Verdict, value: float) -> str:
    return with_unit(f"{value:.2f}", v.unit)
