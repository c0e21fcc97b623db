"""Architectures and inits by train size, as a map of their accuracies."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.comparison.runs import metric_of
from analysis.ordering import natural
from analysis.plots.said import accuracy_told, runs_told
from analysis.plots.style import Plot, chunks, head, page_name, page_told, panels, short
from analysis.reading.results import Setting
from analysis.tables.scattering import images_of, scattering_cells

MOST_ROWS = 36
"""Rows of one figure; what is more goes into further ones, with the same colours."""


def heat_map(setting: Setting, name: str) -> Iterator[Plot]:
    """Final accuracy of each architecture and init at each train size; nothing for one size."""
    table = accuracies(setting)
    if len(table.columns) < 2:
        return
    low, high = np.nanmin(table.to_numpy()), np.nanmax(table.to_numpy())
    pages = chunks(list(table.index), MOST_ROWS)
    accuracy = accuracy_told(setting.runs)
    runs = setting.runs[metric_of(setting.runs, "final_acc").reindex(setting.runs.index).notna()]
    for page, names in enumerate(pages):
        told, part = page_told(page, len(pages)), table.loc[list(names)]
        width = 1.9 + 0.08 * max(map(len, names)) + 0.7 * len(part.columns)
        with panels(size=(max(5.0, width), max(2.6, 1.3 + 0.27 * len(part)))) as (figure, (ax,)):
            image = ax.imshow(part.to_numpy(), cmap="cividis", aspect="auto", vmin=low, vmax=high)
            ax.set_xticks(range(len(part.columns)), labels=[short(float(images)) for images in part.columns])
            ax.set_yticks(range(len(part)), labels=list(names), fontsize=8.5)
            ax.grid(visible=False)
            ax.set_xlabel("training images")
            _write_values(ax, part, (low + high) / 2)
            figure.colorbar(image, ax=ax, label=f"{accuracy}, %", shrink=0.9)
            head(figure, "Architecture by train size", runs_told(setting, runs, f"{accuracy}, mean over seeds"), told)
        yield Plot(
            name=page_name(name, page),
            title="Architecture by train size" + (f", {told}" if told else ""),
            caption=f"{runs_told(setting, runs)}. Final {accuracy}, mean over seeds, in percent.",
            figure=figure,
        )


def accuracies(setting: Setting) -> pd.DataFrame:
    """The mean final accuracy by label and training images; of each architecture the wavelets, then random init."""
    values: dict[str, dict[float, float]] = {}
    order = {}
    for cell in scattering_cells(setting):
        for label, runs in ((cell.arm_label, cell.arm), (cell.baseline_label, cell.baseline)):
            known = metric_of(runs, "final_acc")
            if len(known):
                values.setdefault(label, {})[images_of(cell)] = float(known.mean())
                order[label] = natural(label)
    table = pd.DataFrame.from_dict(values, orient="index").sort_index(axis="columns")
    return table.loc[sorted(table.index, key=lambda label: order[label])]


def _write_values(ax: Axes, part: pd.DataFrame, middle: float) -> None:
    for (row, column), value in np.ndenumerate(part.to_numpy()):
        if np.isfinite(value):
            text: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": 8.5,
                "color": "white" if value < middle else "black",
            }
            ax.text(column, row, f"{value:.1f}", **text)
