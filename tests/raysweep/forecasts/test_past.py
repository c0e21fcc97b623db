"""The error of past predictions."""

from dataclasses import replace

import pytest

from raysweep.forecasts.forecast import forecasts
from raysweep.forecasts.past import past_error, predicted, with_predictions
from raysweep.ledger.opening import open_ledger
from tests.raysweep.forecasts.plans import HEAD, SHARE, TUNING, WHOLE, planned, record


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path / "results")


@pytest.fixture
def prediction(ledger, tmp_path):
    """What is said of further runs once one has been measured."""
    (first,) = planned(ledger)
    record(ledger, first)
    (found,) = forecasts(planned(ledger, seeds=(9,)), list(ledger.records()), lambda _: SHARE, tmp_path / "cache")
    return predicted(found)


def enter(ledger, seed, prediction, seconds, **more):
    (run,) = planned(ledger, seeds=(seed,))
    record(ledger, replace(run, predicted=prediction), seconds=seconds, **more)


def test_without_predictions_there_is_no_error(ledger):
    (run,) = planned(ledger)
    record(ledger, run, seconds=100.0)
    assert past_error(ledger.records()) is None


def test_a_record_says_what_was_predicted_and_its_identity_stays(ledger, prediction):
    (run,) = planned(ledger, seeds=(1,))
    told = replace(run, predicted=prediction).record()
    assert told["predicted_seconds"] == pytest.approx(WHOLE)
    assert {name: told[name] for name in run.record()} == run.record()
    assert "phases" not in told["facts"]


def test_the_error_is_the_ratio_of_what_they_took(ledger, prediction):
    for seed, factor in ((1, 1.0), (2, 1.1), (3, 1.21)):
        enter(ledger, seed, prediction, factor * WHOLE)
    error = past_error(ledger.records())
    assert (error.n, error.ratio) == (3, pytest.approx(1.1))
    assert error.spread == pytest.approx(0.0953, abs=1e-3), "the logarithm of 1.1"


def test_a_run_that_stopped_early_is_judged_by_the_epochs_that_it_needed(ledger, prediction):
    needed = WHOLE - 4 * HEAD - 7 * TUNING
    enter(ledger, 1, prediction, 1.5 * needed, head_epochs=6, finetune_epochs=3)
    assert past_error(ledger.records()).ratio == pytest.approx(1.5)


def test_interrupted_runs_tell_nothing(ledger, prediction):
    (run,) = planned(ledger, seeds=(1,))
    record(ledger, replace(run, predicted=prediction), seconds=WHOLE)
    ledger.write({**ledger.record(run.name), "restarts": 1})
    assert past_error(ledger.records()) is None


def test_runs_take_their_predictions_along_and_keep_their_keys(ledger, prediction, tmp_path):
    runs = planned(ledger, seeds=(1,)) + planned(ledger, width=2)
    known = forecasts(runs, list(ledger.records()), lambda _: SHARE, tmp_path / "cache")
    told = with_predictions(runs, known)
    assert [run.predicted for run in told] == [prediction, {}], "nothing is known of the other shape"
    assert [(run.name, run.key) for run in told] == [(run.name, run.key) for run in runs]
