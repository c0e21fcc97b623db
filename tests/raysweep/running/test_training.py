"""What a worker trains side by side, and does with runs that have finished, without a cluster."""

from types import SimpleNamespace

import pytest

from raysweep.experiment import Experiment
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED, STOPPED
from raysweep.planning.runs import make_runs
from raysweep.running.cluster import prepare_own_environment
from raysweep.running.spec import Attempt, TrialSpec, WorkerSpec
from tests.fake_trainable import FakeConfig
from tests.raysweep.running.test_contract import FAMILY

GPU, CPU = {"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}


@pytest.fixture
def reports(monkeypatch):
    """What a worker reports, which is alone."""
    prepare_own_environment()  # before Ray is imported, for the clusters of later tests
    import ray.train
    import ray.train.collective

    found = []
    context = SimpleNamespace(get_world_rank=lambda: 0, get_local_rank=lambda: 0)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr(ray.train, "report", found.append)
    monkeypatch.setattr(ray.train.collective, "barrier", lambda: None)
    return found


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path)


def told(
    ledger, tmp_path, per_worker=GPU, *, seeds=(0, 5, 6, 7), num_workers=1, timed_seeds=5, keep_last=False, **fields
):
    """What the workers of a trial over so many seeds are told."""
    experiment = Experiment(
        name="one",
        config=FakeConfig(**{"seconds": 0.0, **fields}),
        trainable="tests.fake_trainable",
        timed=True,
        timed_seeds=timed_seeds,
        seeds=seeds,
    )
    runs = make_runs([experiment], ledger, family=FAMILY, overrides={}, num_workers=num_workers, keep_last=keep_last)
    places = {"results": str(tmp_path), "folder": str(tmp_path), "gate": ""}
    trial = TrialSpec(
        trial="t", runs=tuple(runs), per_worker=per_worker, asked_of_ray={}, without=frozenset(), **places
    )
    attempts = tuple(Attempt(run=run, number=ledger.begin(run.name)) for run in runs)
    return WorkerSpec(trial=trial, attempts=attempts, restarts=0, rendezvous="")


@pytest.fixture
def worked(ledger, tmp_path, reports):
    """Lets the only worker of a run train it. Returns how the run ended, and the checkpoints that it has then."""

    def work(*, keep_last=False):
        from raysweep.running.training import in_groups

        spec = told(ledger, tmp_path, CPU, seeds=(0,), keep_last=keep_last)
        folder = ledger.runs.folder(spec.trial.runs[0].name)
        folder.mkdir(parents=True)
        for name in ("last.pt", "best.pt"):
            (folder / name).write_text(name)
        (group,) = in_groups(spec)
        group.train(ledger, left=1)
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


def seeds_of(spec):
    from raysweep.running.training import in_groups

    return [[attempt.run.config.seed for attempt in group.attempts] for group in in_groups(spec)]


def test_on_a_gpu_seeds_without_times_are_trained_together_at_the_end(ledger, tmp_path, reports):
    assert seeds_of(told(ledger, tmp_path, seeds=(5, 0, 6, 1))) == [[0], [1], [5, 6]]


@pytest.mark.parametrize(
    "fields", [{"per_worker": CPU}, {"timed_seeds": None}, {"num_workers": 2}, {"seeds": (0, 1)}, {"seeds": (0, 9)}]
)
def test_elsewhere_one_after_the_other(ledger, tmp_path, reports, fields):
    assert all(len(group) == 1 for group in seeds_of(told(ledger, tmp_path, **fields)))


def trained(spec, ledger):
    from raysweep.running.training import in_groups

    left, stopped = len(spec.attempts), False
    for group in in_groups(spec):
        left -= len(group.attempts)
        stopped = group.train(ledger, left=left) or stopped
    return stopped


def test_each_is_recorded_when_it_has_ended(ledger, tmp_path, reports):
    spec = told(ledger, tmp_path)
    assert not trained(spec, ledger)
    results = {record["seed"]: record["results"] for record in ledger.records()}
    assert {seed: found.get("together") for seed, found in results.items()} == {
        0: None,
        **{seed: [5, 6, 7] for seed in (5, 6, 7)},
    }
    ended = [(report["status"], report["left"]) for report in reports if report["event"] == "ended"]
    assert ended == [(FINISHED, 3), (FINISHED, 2), (FINISHED, 1), (FINISHED, 0)]
    assert [report["run"] for report in reports if report["event"] == "start"] == [run.name for run in spec.trial.runs]


def test_one_that_diverges_leaves_the_others_recorded(ledger, tmp_path, reports):
    spec = told(ledger, tmp_path, crash="seed_6_diverges")
    with pytest.raises(FloatingPointError):
        trained(spec, ledger)
    assert sorted(record["seed"] for record in ledger.records()) == [0, 5, 7]


def test_those_that_are_asked_to_stop_do(ledger, tmp_path, reports):
    spec = told(ledger, tmp_path, seeds=(5, 6), seconds=30.0)
    for run in spec.trial.runs:
        folder = ledger.runs.folder(run.name)
        folder.mkdir(parents=True)
        (folder / "stop").touch()
    assert trained(spec, ledger)
    assert [(report["status"], report["left"]) for report in reports if report["event"] == "ended"] == [
        (STOPPED, 2),
        (STOPPED, 2),
    ]
    assert not list(ledger.records())
