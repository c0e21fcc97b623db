"""Runs of different recipes are never averaged, and an architecture has one name at all train sizes."""

from statistics import fmean

import pytest

from analysis.reading.results import Results
from analysis.tables.scattering import filter_change_table, scattering_cells, significance_table
from tests.analysis.sweeps import frame, record

BASE = {"n_blocks": 3, "L": 4, "modulus_type": "complex_modulus", "mixing_horizon": None, "kernel_size": 5}


def runs(accuracies, size=0.1, *, random=False, **config):
    """Wavelets in two phases, or random init trained jointly."""
    metric = "joint_acc" if random else "finetune_acc"
    more = {} if random else {"finetune_gain": 10.0, "filter_delta_relative": 0.1}
    told = "_".join(f"{name}{value}" for name, value in {"s": size, "rand": random, **config}.items())
    return [
        {
            **record(
                told,
                seed,
                config={
                    **BASE,
                    "random_init": random,
                    "joint": random,
                    "train_size": size,
                    "l2_penalty": 0.0,
                    **config,
                },
                **{metric: accuracy, "final_acc": accuracy, **more},
            ),
            "no_effect": ["l2_penalty"] if random else [],
        }
        for seed, accuracy in enumerate(accuracies)
    ]


def significance(*rows):
    table = significance_table(Results(frame=frame(*[r for part in rows for r in part]))).rows
    return {(row["arch"], row["train_size"]): row for row in table.to_dict("records")}


def test_a_variant_of_the_recipe_is_a_row_of_its_own():
    plain, penalised, random = [73.0, 73.5, 74.0], [60.0, 60.5, 61.0], [70.0, 70.5, 71.0]
    found = significance(runs(plain), runs(penalised, l2_penalty=0.001), runs(random, random=True))
    assert {key[0]: row["delta"] for key, row in found.items()} == {
        "3b_cmod_L4_l2_penalty=0.0": pytest.approx(3.0),
        "3b_cmod_L4_l2_penalty=0.001": pytest.approx(-10.0),
    }
    assert {row["n_seeds"] for row in found.values()} == {3}


def test_an_architecture_has_one_name_at_all_sizes():
    rows = [runs([70.0, 71.0], size) for size in (0.1, 0.5)]
    rows += [runs([80.0, 81.0], 1.0), runs([79.0, 80.0], 1.0, kernel_size=7)]
    (setting,) = Results(frame=frame(*[r for part in rows for r in part])).settings
    assert [(cell.label, cell.value) for cell in scattering_cells(setting)] == [
        *[("3b_cmod_L4_kernel_size=5", size) for size in (0.1, 0.5, 1.0)],
        ("3b_cmod_L4_kernel_size=7", 1.0),
    ]


def test_filter_change_is_of_wavelets_alone():
    two_phases_of_random = [
        {**run, "config": {**run["config"], "random_init": True}, "run": f"x{i}", "experiment": "random"}
        for i, run in enumerate(runs([50.0, 51.0]))
    ]
    for run in two_phases_of_random:
        run["results"] = {**run["results"], "finetune_gain": -30.0}
    rows = [*runs([73.0, 73.5]), *two_phases_of_random]
    (row,) = filter_change_table(Results(frame=frame(*rows))).rows.to_dict("records")
    assert (row["gain_mean"], row["n_seeds"]) == (fmean([10.0, 10.0]), 2)
