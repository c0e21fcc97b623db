"""How the numbers of an answer are written: on the scale of its estimate, with its unit."""

from analysis.numbers import with_unit, written
from analysis.verdicts.verdict import Verdict


def signed(v: Verdict, value: float) -> str:
    """A number on the scale of the estimate, as it is shown."""
    if v.relative:
        return written(value, "%")
    return f"{value:.2f}" if v.kind == "target" else written(value, "+")


def bounds(v: Verdict, ends: tuple[float, float]) -> str:
    """`[+0.45, +2.01]`."""
    return f"[{signed(v, ends[0])}, {signed(v, ends[1])}]"


def size(v: Verdict, value: float) -> str:
    """A number without a sign, as it was asked for."""
    return f"{value:.0%}" if v.relative else with_unit(f"{value:g}", v.unit)


def spoken_p(value: float | None) -> str:
    """A p-value, with two digits where more say nothing."""
    return written(value, "p") if value is None or value < 0.1 else f"{value:.2f}"
