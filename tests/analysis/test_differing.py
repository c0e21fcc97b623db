"""In what two arms differ, who stands beside whom in a grid, and which runs are worth a second look."""

import itertools

import numpy as np
import pytest

from analysis.comparison.differing import differences
from analysis.comparison.neighbours import Neighbours
from analysis.reading.results import Results
from analysis.suspicious import suspicious_runs
from tests.analysis.sweeps import frame, record, runs_of


def grid(noise=0.3, seeds=(0,), **changed):
    """Three architectures by two moduli by four sizes; `changed` gives runs by name other accuracies."""
    rng = np.random.default_rng(3)
    rows = []
    for blocks, modulus, size, seed in itertools.product((2, 3, 4), ("complex", "relu"), (0.1, 0.3, 0.5, 1.0), seeds):
        name = f"{blocks}b_{modulus}_s{100 * size:.0f}"
        config = {"n_blocks": blocks, "modulus_type": modulus, "train_size": size}
        accuracy = 60 + 3 * blocks + 15 * np.log10(10 * size) - 2 * (modulus == "relu") + rng.normal(0, noise)
        value = changed.get(f"x{name}_{seed}", accuracy)
        curve = [{"epoch": i, "val_acc": value} for i in range(40)]
        rows.append({**record(name, seed, config=config, final_acc=float(value)), "curves": {"phase_b": curve}})
    return rows


def test_only_fields_that_differ_are_listed_with_results_by_their_means():
    same = {"n_blocks": 4, "lr": 0.1}
    arms = [
        frame(*runs_of("C", (60.0, 62.0), "head_acc", config={**same, "L": 4}, provenance={"torch_version": "2.14"})),
        frame(*runs_of("E", (65.0, 67.0), "head_acc", config={**same, "L": 8}, provenance={"torch_version": "2.15"})),
    ]
    found = {d.name: d for d in differences(*arms, config={"n_blocks", "lr", "L", "seed"})}
    assert set(found) == {"L", "head_acc", "torch_version"}
    assert (found["L"].one, found["L"].other, found["L"].part) == (4, 8, "configuration")
    assert (found["head_acc"].one, found["head_acc"].other, found["head_acc"].change) == (61.0, 66.0, 5.0)
    assert found["torch_version"].part == "provenance"


def test_fields_without_effect_come_last_and_say_so():
    arms = [frame(record(name, 0, config={"L": L, "save_dir": name})) for name, L in (("C", 4), ("E", 8))]
    found = [d for d in differences(*arms, config={"L", "save_dir", "seed"}) if d.part == "configuration"]
    assert [(d.name, d.has_effect) for d in found] == [("L", True), ("save_dir", False)]


def test_neighbours_differ_in_one_field_alone():
    (setting,) = Results(frame=frame(*grid(seeds=(0, 1)))).settings
    beside = [(n.field, n.experiment) for n in Neighbours.of(setting).beside("3b_relu_s30")]
    assert beside == [
        ("modulus_type", "3b_complex_s30"),
        ("n_blocks", "2b_relu_s30"),
        ("n_blocks", "4b_relu_s30"),
        ("train_size", "3b_relu_s10"),
        ("train_size", "3b_relu_s50"),
        ("train_size", "3b_relu_s100"),
    ]


def suspected(rows):
    return {(s.experiment, s.seed): s.reason for s in suspicious_runs(Results(frame=frame(*rows)))}


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_a_quiet_and_a_noisy_grid_have_no_run_to_look_at_twice(noise):
    assert suspected(grid(noise)) == {}


def test_an_accuracy_far_from_what_its_neighbours_let_expect_is_named():
    found = suspected(grid(x3b_relu_s30_0=55.0))
    assert set(found) == {("3b_relu_s30", 0)}
    assert "final_acc 55.00, where its neighbours in the grid let expect 7" in found["3b_relu_s30", 0]


def test_an_accuracy_far_from_that_of_other_seeds_is_named():
    found = suspected(grid(seeds=(0, 1, 2), x4b_complex_s100_1=60.0))
    assert "the median of its seeds is 8" in found["4b_complex_s100", 1]
    assert set(found) == {("4b_complex_s100", 1)}


def test_training_that_ended_at_a_third_of_its_siblings_is_named():
    rows = grid(seeds=(0, 1, 2))
    cut = next(row for row in rows if row["experiment"] == "2b_relu_s50" and row["seed"] == 2)
    cut["curves"]["phase_b"] = cut["curves"]["phase_b"][:13]
    assert suspected(rows) == {("2b_relu_s50", 2): "fine-tuning ended after 13 epochs, of others like it after 40"}
