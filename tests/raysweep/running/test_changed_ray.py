"""On one machine with a Ray whose private names are others: plain `TorchTrainer`s do what the local trainer does."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED
from raysweep.planning.resources import Resources
from raysweep.planning.rules import Rules
from raysweep.planning.runs import make_runs
from raysweep.ray_internals import check
from raysweep.ray_internals.names import Feature
from raysweep.running.cluster import own_cluster
from raysweep.running.placement import LocalPlacement
from tests.conftest import ROOT
from tests.raysweep.fakes import FAMILY, fake
from tests.raysweep.runs import processes_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def changed() -> Iterator[None]:
    """In this process alone, Ray lacks a method and has another one with more parameters.

    The processes of trials and workers have the Ray that is installed, and do as this one has decided.
    """
    from raysweep.running.cluster import prepare_own_environment

    prepare_own_environment()
    from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup
    from ray.tune.execution.tune_controller import _ObjectCache

    before = _ObjectCache.cache_object

    def cache_object(self: Any, key: Any, obj: Any, seconds: float = 0.0) -> Any:
        return before(self, key, obj)

    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(WorkerGroup, "_init_train_context_on_workers")
        patch.setattr(_ObjectCache, "cache_object", cache_object)
        check._is_possible.cache_clear()
        yield
    check._is_possible.cache_clear()


@pytest.fixture(scope="module")
def swept(changed: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict], list[str], set[int]]:
    """A sweep of fakes on two CPUs that is interrupted once: records, output lines, processes of Ray's controllers."""
    ledger = open_ledger(tmp_path_factory.mktemp("results"))
    small = [
        fake("first", 0, seconds=4.0),
        fake("killed", 0, seconds=1.0, crash="killed_once"),
        fake("fails", 2, crash="exception"),
        fake("last", 3, seconds=1.0),
    ]
    runs = make_runs(small, ledger, family=FAMILY, overrides={}, num_workers=1)
    runs += make_runs([fake("wide", 1, seconds=4.0)], ledger, family=FAMILY, overrides={}, num_workers=2)
    runs.sort(key=lambda run: run.experiment.priority)
    controllers: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            controllers.update(pid for _, pid in processes_of("TrainController", {os.getpid()}))

    def is_interrupted() -> bool:
        """From when both small runs are recorded."""
        return len(list(ledger.records())) == 2

    resources, lines = Resources(cpus=2, gpus=0), []
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        with own_cluster(resources):
            from raysweep.running import launcher

            patch.setattr(launcher, "_say_once", lines.append)
            with pytest.raises(KeyboardInterrupt):
                launcher.launch(runs, ledger, LocalPlacement(ledger, resources), Rules(interrupted=is_interrupted))
        left = [run for run in runs if run.name not in ledger.settled()]
        assert {run.experiment.name for run in left} == {"wide", "fails", "last"}
        with own_cluster(resources):
            launcher.launch(left, ledger, LocalPlacement(ledger, resources))
    done.set()
    looking.join()
    return {record["experiment"]: record for record in ledger.records()}, lines, controllers


def test_a_changed_ray_is_told_in_one_line_with_its_version(swept: Any) -> None:
    import ray

    _, lines, _ = swept
    assert len(set(lines)) == 1
    assert lines[0].startswith(f"Ray {ray.__version__} is not built as Ray")
    for feature in Feature:
        lost = feature in (Feature.LOCAL_TRAINER, Feature.KEPT_PROCESSES)
        assert (feature.value in lines[0]) == lost


def test_plain_trainers_have_done_it(swept: Any) -> None:
    """Each of the five trials had a controller of its own; a local trainer has none."""
    _, _, controllers = swept
    assert len(controllers) >= 5


def test_all_runs_end_as_they_should_across_an_interruption(swept: Any) -> None:
    records, _, _ = swept
    assert {name: record["status"] for name, record in records.items()} == {
        "first": FINISHED,
        "killed": FINISHED,
        "wide": FINISHED,
        "fails": FAILED,
        "last": FINISHED,
    }
    assert records["killed"]["restarts"] == 1
    assert records["fails"]["error"] == "ValueError: the fake was told to fail"
    assert records["wide"]["num_workers"] == 2


def test_gates_keep_the_order_and_the_slots(swept: Any) -> None:
    results = {name: record["results"] for name, record in swept[0].items() if record["status"] == FINISHED}
    assert results["first"]["ended"] <= results["wide"]["started"]
    assert results["killed"]["ended"] <= results["wide"]["started"]
    assert results["wide"]["ended"] <= results["last"]["started"]
    assert {one["threads"] for one in results.values()} == {"1"}
