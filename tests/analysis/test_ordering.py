"""Rows are ordered by architecture, then by size, then by seed, and numbers in names count as numbers."""

import itertools
import random

import numpy as np
import pandas as pd
import pytest

from analysis.ordering import experiment_order, natural, run_order
from analysis.reading.importing import import_results
from analysis.reading.results import Results
from analysis.tables.overall import all_tables, results_table, runs_table, summary_table
from analysis.verdicts.answers import verdicts
from raysweep.ledger.opening import open_ledger
from tests.analysis.original_files import SAMPLE, write_files
from tests.analysis.sweeps import frame, record


@pytest.mark.parametrize(
    "ordered",
    [
        ["3b_cmod_L4_s05", "3b_cmod_L4_s10", "3b_cmod_L4_s100"],
        ["2b_L4", "2b_L8", "2b_L16", "10b_L4"],
        ["A", "a2", "B", "C"],
        ["3b_cmod_L4", "3b_cmod_L4_h27"],
        ["lr=1e-05", "lr=0.0005", "lr=0.1", "lr=0.25"],
        ["", "0", "x", "x0", "x00", "x1"],
    ],
)
def test_numbers_in_names_are_compared_as_numbers(ordered):
    shuffled = random.Random(0).sample(ordered, len(ordered))
    assert sorted(shuffled, key=natural) == ordered


def test_names_of_a_grid_come_in_the_order_of_its_numbers():
    """The reference is the order of the tuples that the names are made of."""
    points = list(itertools.product((2, 3, 4, 10), (4, 8, 16), ("", "_rand"), (5, 10, 15, 20, 30, 50, 100)))
    names = {point: "{}b_cmod_L{}{}_s{:02d}".format(*point) for point in points}
    shuffled = random.Random(1).sample(points, len(points))
    assert sorted(shuffled, key=lambda point: experiment_order(names[point])) == sorted(points)


def test_runs_come_by_data_set_architecture_size_and_seed_and_those_without_a_seed_last():
    rows = [
        ("digits", "3b_cmod_L4_s10", 0.1, 43),
        ("digits", "3b_cmod_L4_s10", 0.1, np.nan),
        ("digits", "3b_cmod_L4_s100", 1.0, 42),
        ("digits", "3b_cmod_L4_rand_s05", 0.05, 42),
        ("digits", "own=b", 500.0, 10),
        ("digits", "own=b", 50.0, 9),
        ("imagenet", "A", np.nan, 42),
    ]
    shuffled = random.Random(2).sample(rows, len(rows))
    runs = pd.DataFrame(shuffled, columns=["dataset", "experiment", "train_size", "seed"])
    found = [tuple(row) for row in run_order(runs).itertuples(index=False)]
    expected = [(*rows[i][:3], float(rows[i][3])) for i in (0, 1, 2, 3, 5, 4, 6)]
    assert repr(found) == repr(expected), "as text, since NaN does not equal itself"
    assert run_order(runs.iloc[:0]).empty
    assert list(run_order(runs[["experiment"]])["experiment"])[:1] == ["3b_cmod_L4_s10"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The authors' runs of the sample, taken in last to first."""
    folder = tmp_path_factory.mktemp("results")
    files = write_files(dict(reversed(SAMPLE.items())), folder / "files")
    import_results(open_ledger(folder / "results"), sorted(files.rglob("*.json"), reverse=True))
    return Results.read(folder / "results")


def test_tables_do_not_have_the_order_of_import(results):
    experiments = ["3b_cmod_L4_s10", "3b_cmod_L4_s20", "3b_cmod_L4_rand_s10", "3b_cmod_L4_rand_s20"]
    runs = [(name, seed) for name in experiments for seed in (42, 43, 44)]
    assert list(zip(*(results_table(results).rows[name] for name in ("experiment", "seed")), strict=True)) == runs
    shown = runs_table(results.settings[0]).rows
    assert list(zip(shown["experiment"], shown["seed"], strict=True)) == runs
    assert list(summary_table(results).rows["experiment"]) == experiments


def test_every_table_of_experiments_has_that_order():
    names = [f"{blocks}b_cmod_L{L}_s{size}" for blocks in (2, 10) for L in (4, 16) for size in ("05", "100")]
    records = []
    for name in random.Random(3).sample(names, len(names)):
        blocks, L, size = int(name.split("b")[0]), int(name.split("_L")[1].split("_")[0]), int(name.split("_s")[1])
        config = {"n_blocks": blocks, "L": L, "modulus_type": "complex_modulus", "train_size": size / 100}
        for seed in (43, 42):
            for init, suffix in ((True, "_rand"), (False, "")):
                values = {"joint_acc": 60.0 + seed} if init else {"finetune_acc": 60.0 + seed, "finetune_gain": 1.0}
                values |= {} if init else {"filter_delta_relative": 0.5 + seed}
                fields = {**config, "random_init": init, "joint": init}
                own = name.replace("_s", f"{suffix}_s")
                records.append(record(own, seed, config=fields, final_acc=60.0 + seed, **values))
    found = Results(frame=frame(*records))
    tables = {table.name: table.rows for table in all_tables(found, verdicts(found))}
    sizes = [(name.rpartition("_")[0], int(name.rpartition("_s")[2]) / 100) for name in names]
    for table in ("significance", "filter_change"):
        assert list(zip(tables[table]["arch"], tables[table]["train_size"], strict=True)) == sizes, table
    ordered = sorted(tables["experiments"]["experiment"], key=experiment_order)
    assert list(tables["experiments"]["experiment"]) == ordered
    assert [name for name in ordered if "rand" not in name] == names
    asked = [q for q in tables["comparisons"]["question"] if q.startswith("wavelets_")]
    assert asked == [f"wavelets_{name}_{size:g}" for name, size in sizes]
