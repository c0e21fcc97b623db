"""What a worker does with a run once it has finished, without a cluster: Ray's own functions are left out."""

from types import SimpleNamespace

import pytest

from raysweep.experiment import Experiment
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED
from raysweep.planning.runs import make_runs
from raysweep.running.cluster import prepare_own_environment
from raysweep.running.spec import Attempt, TrialSpec, WorkerSpec
from tests.fake_trainable import FakeConfig
from tests.raysweep.running.test_contract import FAMILY


@pytest.fixture
def worked(tmp_path, monkeypatch):
    """Lets the only worker of a run train it. Returns how the run ended, and the checkpoints that it has then."""
    prepare_own_environment()  # before Ray is imported, for the clusters of later tests
    import ray.train
    import ray.train.collective

    reports = []
    context = SimpleNamespace(get_world_rank=lambda: 0, get_local_rank=lambda: 0)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr(ray.train, "report", reports.append)
    monkeypatch.setattr(ray.train.collective, "barrier", lambda: None)

    def work(*, keep_last=False):
        from raysweep.running import training

        ledger = open_ledger(tmp_path)
        experiment = Experiment(name="one", config=FakeConfig(seconds=0.0), trainable="tests.fake_trainable")
        (run,) = make_runs([experiment], ledger, family=FAMILY, overrides={}, keep_last=keep_last)
        folder = ledger.runs.folder(run.name)
        folder.mkdir(parents=True)
        for name in ("last.pt", "best.pt"):
            (folder / name).write_text(name)
        places = {"results": str(tmp_path), "folder": str(tmp_path), "gate": ""}
        trial = TrialSpec(trial="t", runs=(run,), per_worker={"CPU": 1}, asked_of_ray={}, without=frozenset(), **places)
        attempt = Attempt(run=run, number=ledger.begin(run.name))
        spec = WorkerSpec(trial=trial, attempts=(attempt,), restarts=0, rendezvous="")
        training.Group(spec=spec, attempts=[attempt]).train(ledger, left=1)
        return reports[-1]["status"], sorted(file.name for file in folder.glob("*.pt"))

    return work


def test_the_last_checkpoint_of_a_finished_run_goes(worked):
    assert worked() == (FINISHED, ["best.pt"])


def test_it_stays_where_the_user_keeps_it(worked):
    assert worked(keep_last=True) == (FINISHED, ["best.pt", "last.pt"])


def test_it_stays_until_the_result_is_recorded(worked, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("raysweep.ledger.local_folder.LocalFolder.put", full)
    assert worked() == (FAILED, ["best.pt", "last.pt"])
