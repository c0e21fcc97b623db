"""The record of a finished run, and the predictions that belong to it."""

import errno

import numpy as np
import pytest

from raysweep.experiment import Experiment
from raysweep.ledger.local_folder import LocalFolder
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.predictions import read_predictions
from raysweep.ledger.records import FINISHED
from raysweep.running.recording import record_result
from raysweep.running.spec import Attempt, TrialSpec
from tests.fake_trainable import FakeConfig
from tests.raysweep.runs import planned

CLASSES, LABELS = np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])


@pytest.fixture
def recorded(tmp_path):
    """Records a run of 75 % accuracy that left predictions. Returns what was said, the record, and what was kept."""
    run = planned(Experiment(name="one", config=FakeConfig(), trainable="tests.fake_trainable"))
    places = {"results": str(tmp_path), "folder": str(tmp_path), "gate": ""}
    trial = TrialSpec(trial="t", runs=(run,), per_worker={"CPU": 1}, asked_of_ray={}, without=frozenset(), **places)
    ledger = open_ledger(tmp_path)

    def record(*, classes=CLASSES, number=None, final_acc=75.0):
        folder = ledger.runs.folder(run.name)
        folder.mkdir(parents=True, exist_ok=True)
        if classes is not None:
            np.savez(folder / "predictions.npz", classes=classes, labels=LABELS, metrics=["final_acc"])
        attempt = Attempt(run=run, number=number or ledger.begin(run.name))
        report = {"event": "result", "results": {"final_acc": final_acc}}
        said = record_result(trial, attempt, report, 0.0, 0)
        return said, ledger.record(run.name), read_predictions(ledger.store, run.name), folder

    return record


def test_predictions_are_kept_beside_the_record_which_says_of_which_images_they_are(recorded):
    said, record, kept, folder = recorded()
    assert said == (None, "")
    assert (record["status"], record["predictions"]) == (FINISHED, kept.images)
    assert kept.classes.tolist() == CLASSES.tolist()
    assert list(folder.iterdir()) == [], "they are not kept twice"


def test_a_run_that_hands_over_none_is_recorded_as_before(recorded):
    said, record, kept, _ = recorded(classes=None)
    assert (said, record["status"], kept) == ((None, ""), FINISHED, None)
    assert "predictions" not in record


def test_a_run_that_repeats_its_result_once_its_record_has_gone_has_its_predictions_still(recorded):
    _, before, kept, folder = recorded()
    (folder.parent.parent / "records" / f"{before['run']}.json").unlink()
    said, record, again, _ = recorded(classes=None)
    assert (said, record["predictions"]) == ((None, ""), kept.images)
    assert again.classes.tolist() == kept.classes.tolist()


def test_a_disk_that_does_not_take_predictions_loses_no_record(recorded, monkeypatch):
    put = LocalFolder.put

    def fails(store, name, content):
        if name.startswith("predictions/"):
            raise OSError(errno.ENOSPC, "No space left on device")
        put(store, name, content)

    monkeypatch.setattr(LocalFolder, "put", fails)
    (said, beside), record, kept, folder = recorded()
    assert said is None
    assert beside == ", but its predictions were not kept ([Errno 28] No space left on device)"
    assert (record["status"], "predictions" in record, kept) == (FINISHED, False, None)
    assert (folder / "predictions.npz").exists(), "whoever wants them finds them"


def test_predictions_that_do_not_fit_the_results_are_not_kept(recorded):
    (said, beside), record, kept, _ = recorded(final_acc=60.0)
    assert said is None
    assert "the predictions have an accuracy of 75 %, final_acc is 60.0" in beside
    assert (record["status"], "predictions" in record, kept) == (FINISHED, False, None)


def test_an_attempt_that_was_replaced_leaves_those_of_its_successor_alone(recorded):
    recorded()
    recorded()
    (said, _), record, kept, _ = recorded(classes=np.array([0, 1, 1, 0]), number=1)  # right as often
    assert "attempt 1 was replaced by attempt 2" in said
    assert (record["attempt"], kept.classes.tolist()) == (2, CLASSES.tolist())
