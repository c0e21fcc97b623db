"""What it is worth that the best of a run's epochs was chosen on the images that its accuracy is measured on."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from analysis.comparison.runs import metric_of
from raysweep.experiment import Selected


def selected_of(metric: str, declared: Sequence[Selected]) -> Selected | None:
    """What is said of a metric of the best epoch; None for other metrics."""
    return next((selected for selected in declared if metric in selected.metrics), None)


def spoken_selection(rows: Mapping[str, pd.DataFrame], metric: str, declared: Sequence[Selected]) -> Iterator[str]:
    """A clause where the best epochs of arms were picked on the test set, with what that is worth to each."""
    selected = selected_of(metric, declared)
    if selected is None:
        return
    worth = {}
    for label, part in rows.items():
        chosen = part[part[selected.images] == selected.tested] if selected.images in part else part.iloc[:0]
        if len(chosen):
            gained = metric_of(chosen, selected.metrics[0]) - metric_of(chosen, selected.last)
            worth[label] = float(gained.mean())
    if not worth:
        return
    known = ", ".join(f"{label} {gained:+.2f}" for label, gained in worth.items() if gained == gained)
    said = f", worth {known} over the mean of the last five epochs" if known else ""
    whose = "" if len(worth) == len(rows) else f" of {', '.join(worth)}"
    yield f"the best epoch{whose} was picked on the {selected.tested}{said}"
