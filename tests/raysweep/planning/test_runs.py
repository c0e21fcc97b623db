"""The order in which runs start."""

from raysweep.ledger.opening import open_ledger
from raysweep.planning import Resources, parse_options, sweep_spec
from tests.noisy_space import FAMILY
from trainables.cli import parse_values


def order(folder, *argv):
    spec = sweep_spec(parse_options(("--group", "noisy", "--seeds", "3,1", *argv)), FAMILY, parse_values)
    runs = spec.plan(open_ledger(folder), Resources(cpus=2, gpus=0))
    return [(run.experiment.name, run.config.seed) for run in runs]


def test_all_seeds_of_an_experiment_come_before_the_next_one(tmp_path):
    assert order(tmp_path)[:4] == [("base", 3), ("base", 1), ("better", 3), ("better", 1)]


def test_breadth_first_takes_first_seeds_before_second_ones_within_a_priority(tmp_path):
    assert order(tmp_path, "--breadth-first") == [
        *[("base", 3), ("better", 3), ("base", 1), ("better", 1)],
        *[("equal", 3), ("costly", 3), ("equal", 1), ("costly", 1)],
        *[("alone", 3), ("alone", 1)],
    ]
