"""What runs cost, in operations worked out by hand and in the time that is forecast."""

from dataclasses import replace

import pytest

from raysweep.forecasts.machine import Machine
from raysweep.forecasts.run_costs import RunCosts, operations
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FINISHED
from raysweep.planning.runs import make_runs
from tests.raysweep.fakes import FAMILY as FAKES
from tests.raysweep.fakes import fake
from tests.raysweep.forecasts.plans import BASE, SHARE, WHOLE, planned, record

IMAGES = 10 * 1000 * 2 + 500 + (10 * 500 + 500)
"""Of the base experiment: ten epochs in two phases; the first one looks at its validation images once, as it keeps
them, the second in each epoch and once more."""
FLOPS = 10 * 1000 * 200 + 500 * 100 + 10 * 1000 * 300 + (10 * 500 + 500) * 100


def machine(tmp_path, slots_of=lambda run: 1):
    return Machine(
        slots=8,
        slots_of=slots_of,
        share_of=lambda _: SHARE,
        memory_of=lambda _: None,
        device="cpu",
        cache=tmp_path / "cache",
    )


def test_operations_are_those_of_all_images_of_all_phases(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    wide = replace(BASE, name="wide")
    runs = planned(ledger) + planned(ledger, wide, width=3)
    costs = RunCosts(ledger, machine(tmp_path))(runs)
    assert costs["base"].operations == FLOPS
    assert costs["wide"].operations == 3 * FLOPS
    assert costs["base"].seconds is None, "nothing is known of this machine"


def test_images_stand_for_operations_where_one_trainable_gives_none(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    runs = planned(ledger) + planned(ledger, replace(BASE, name="wide"), width=3)
    assert operations(runs, lambda run: {}) == {"base": IMAGES, "wide": IMAGES}


def test_without_phases_all_runs_cost_the_same(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    runs = make_runs([fake("a", 0)], ledger, family=FAKES, overrides={}) + planned(ledger)
    assert operations(runs, lambda run: {}) == {"a": 1.0, "base": 1.0}


def test_times_are_those_of_all_slots_that_a_run_holds(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    (done,) = planned(ledger)
    record(ledger, done)
    low, expected, high = RunCosts(ledger, machine(tmp_path, lambda run: 2))([done])["base"].seconds
    assert expected == pytest.approx(2 * WHOLE)
    assert low < expected < high


def test_operations_do_not_change_with_what_was_measured(tmp_path):
    """So that a sweep that was killed, and measures again, chooses the same runs."""
    ledger = open_ledger(tmp_path / "results")
    (run,) = planned(ledger)
    before = RunCosts(ledger, machine(tmp_path))([run])["base"].operations
    record(ledger, run)
    assert RunCosts(ledger, machine(tmp_path))([run])["base"].operations == before


def test_runs_without_a_forecast_take_as_long_as_others_have_taken(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    runs = make_runs([fake("a", 0)], ledger, family=FAKES, overrides={}, seeds=(0, 1, 2))
    for run, seconds in zip(runs, (10, 20, 50), strict=True):
        times = {"started": "2030-01-01T00:00:00+00:00", "finished": f"2030-01-01T00:00:{seconds}+00:00"}
        ledger.write({**run.record(), "status": FINISHED, "attempt": ledger.begin(run.name), "results": {}, **times})
    assert RunCosts(ledger, machine(tmp_path))(runs[:1])["a"].seconds == (10.0, 20.0, 50.0)
