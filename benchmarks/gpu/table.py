"""The lines that a measurement prints as it goes, and what it leaves as JSON."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.gpu.timing import Measured
from benchmarks.measuring import spread

COLUMNS = ("work", "batch", "form", "rate", "ratio: median (min .. max)", "of the floor", "kernels", "peak MB")


def head() -> str:
    """The first two lines of a table."""
    return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def rows_of(
    work: str,
    batch: int,
    unit: str,
    measured: Mapping[str, Measured],
    plain: Mapping[str, str],
    floors: Mapping[str, float],
) -> list[dict[str, Any]]:
    """A row for each form.

    `plain` names the form that another one is compared with, and `floors` the least seconds of a step, by form.
    """
    rows = []
    for name, found in measured.items():
        row: dict[str, Any] = {"work": work, "batch": batch, "form": name, "unit": unit, "seconds": found.seconds}
        row |= {"rate": batch / found.median, "kernels": found.kernels, "peak_mb": found.peak_bytes // 2**20}
        if (reference := plain.get(name)) in measured:
            pairs = zip(measured[reference].seconds, found.seconds, strict=True)
            row["ratios"] = [theirs / own for theirs, own in pairs]
        if name in floors:
            row["of_floor"] = floors[name] / found.median
        rows.append(row)
    return rows


def line(row: Mapping[str, Any]) -> str:
    """A row as the table shows it."""
    ratios: Sequence[float] = row.get("ratios", ())
    cells = (
        row["work"],
        str(row["batch"]),
        row["form"],
        f"{row['rate']:,.{0 if row['rate'] >= 20 else 2}f} {row['unit']}",
        spread(ratios) if ratios else "",
        f"{100 * row['of_floor']:.0f} %" if "of_floor" in row else "",
        str(row["kernels"] or ""),
        f"{row['peak_mb']:,}" if row["peak_mb"] else "",
    )
    return f"| {' | '.join(cells)} |"


def slowest_ratio(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The smallest of the median ratios; None where nothing was compared."""
    medians = [statistics.median(row["ratios"]) for row in rows if row.get("ratios")]
    return min(medians, default=None)
