"""Numbers in names are sorted by their size."""

from analysis.ordering import natural, run_order
from tests.analysis.sweeps import frame, record


def test_numbers_in_names_are_sorted_by_their_size():
    names = ["3b_L16_s100", "3b_L4_s10", "3b_L4_s05", "4b_L4_s05", "3b_L4_s100", "10b_L4_s05", "3b_L4_rand_s05"]
    expected = ["3b_L4_rand_s05", "3b_L4_s05", "3b_L4_s10", "3b_L4_s100", "3b_L16_s100", "4b_L4_s05", "10b_L4_s05"]
    assert sorted(names, key=natural) == expected


def test_runs_are_sorted_by_experiment_then_by_seed_whatever_the_order_of_their_import():
    rows = frame(
        *(record(name, seed) for name, seed in (("s10", 2), ("s05", 10), ("s10", 1), ("s05", 9), ("s05", None)))
    )
    ordered = run_order(rows)
    assert list(zip(ordered["experiment"], ordered["seed"].fillna(-1).astype(int), strict=True)) == [
        ("s05", -1),
        ("s05", 9),
        ("s05", 10),
        ("s10", 1),
        ("s10", 2),
    ]
