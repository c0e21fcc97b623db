"""Accuracy against cost: names lie neither on each other nor on the legend, and only points on the fronts have one."""

from dataclasses import asdict

import numpy as np
import pytest
from matplotlib.text import Annotation

from analysis.plots.costs import accuracy_against_cost, accuracy_against_time, costs_of
from analysis.tables.airbench import timed_runs
from search_spaces import airbench
from tests.analysis.plots.drawn import boxes_of, many_architectures, overlapping, setting_of
from tests.analysis.sweeps import record


@pytest.mark.parametrize("sizes", [(1.0,), (0.1, 1.0)])
def test_names_overlap_neither_each_other_nor_the_legend(sizes):
    setting = setting_of(*many_architectures(12, sizes))
    plot = accuracy_against_cost(setting, "cost")
    boxes = boxes_of(plot.figure, Annotation)
    assert len(boxes) >= 5
    assert overlapping(boxes) == []
    assert overlapping(boxes_of(plot.figure)) == []
    for legend in plot.figure.legends:
        outside = legend.get_window_extent()
        assert not any(box.overlaps(outside) for box in boxes.values())
        assert not any(ax.get_window_extent().overlaps(outside) for ax in plot.figure.axes)


def test_only_what_nothing_cheaper_beats_is_named_and_every_experiment_is_drawn():
    setting = setting_of(*many_architectures(12, (1.0,)))
    plot = accuracy_against_cost(setting, "cost")
    (ax,) = plot.figure.axes
    drawn = next(line for line in ax.lines if line.get_linestyle() == "None")
    table = costs_of(setting)
    assert len(drawn.get_xdata()) == len(table) == 24
    cost, accuracy = table["parameters"], table["accuracy"]
    beaten = [((cost <= cost[name]) & (accuracy > accuracy[name])).any() for name in table.index]
    best = table["label"][[not one for one in beaten]].tolist()
    named = {text.get_text().replace("\n", "") for text in ax.texts}
    assert named <= set(best)
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert low < table["parameters"].min() < table["parameters"].max() < high
    assert bottom < table["accuracy"].min() < table["accuracy"].max() < top
    lacking = len(best) - len(named)
    assert (f"no room for {lacking} of {len(best)} names" in plot.caption) == (lacking > 0)


def test_the_steps_of_airbench_have_names_apart_from_each_other():
    rng = np.random.default_rng(0)
    rows = []
    for i, experiment in enumerate(e for e in airbench.FAMILY.experiments[:10]):
        for seed in range(3):
            fields = {"device_name": "A100", "computed_in": "float16", "pflop": 0.36}
            accuracy, seconds = 94 + rng.normal(0, 0.05), 14.5 / (1 + i) ** 0.5 + rng.normal(0, 0.05)
            config = {**asdict(experiment.config), "seed": seed}
            fields |= {"final_acc": accuracy, "train_seconds": seconds}
            rows.append(record(experiment.name, seed, dataset="cifar10", config=config, **fields))
    setting = setting_of(*rows)
    plot = accuracy_against_time(timed_runs(setting), setting, "time")
    boxes = boxes_of(plot.figure, Annotation)
    assert len(boxes) >= 8
    assert overlapping(boxes) == []
    assert "n = 3 seeds" in plot.figure.get_suptitle()
    assert plot.figure.axes[0].get_ylabel() == "test accuracy, %"
