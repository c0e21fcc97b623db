"""The processes of a trial start while the one before trains: nothing else about either of them changes."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raysweep.experiment import Experiment
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FINISHED
from raysweep.planning.resources import Resources
from raysweep.planning.runs import make_runs
from raysweep.running.cluster import own_cluster
from tests.conftest import ROOT
from tests.raysweep.fakes import FAMILY, fake
from tests.raysweep.runs import processes_of
from trainables.scattering import ScatteringConfig, train

pytestmark = pytest.mark.ray


def swept(folder: Path, experiments: list[Experiment], resources: Resources) -> dict[tuple[str, int], dict]:
    """The records of a sweep over `experiments`, by experiment and seed."""
    ledger = open_ledger(folder)
    runs = make_runs(experiments, ledger, family=FAMILY, overrides={})
    with pytest.MonkeyPatch.context() as patch, own_cluster(resources):
        patch.chdir(ROOT)
        from raysweep.running.launcher import launch
        from raysweep.running.placement import LocalPlacement

        launch(runs, ledger, LocalPlacement(ledger, resources))
    return {(record["experiment"], record["seed"]): record for record in ledger.records()}


def kill_the_youngest_worker() -> None:
    """Kill a worker that waits for its turn, which is the younger one of two."""
    while True:
        time.sleep(1.0)
        workers = list(processes_of("RayTrainWorker", {os.getpid()}))
        if len(workers) == 2:
            os.kill(max(workers)[1], signal.SIGKILL)
            return


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory):
    """Three trials on one CPU; the second loses a worker while it waits, the third one while it runs."""
    experiments = [
        fake("first", 0, seconds=18.0),
        fake("second", 1, seconds=8.0),
        fake("third", 2, crash="killed_once"),
    ]
    killer = threading.Thread(target=kill_the_youngest_worker, daemon=True)
    killer.start()
    records = swept(tmp_path_factory.mktemp("results"), experiments, Resources(cpus=1, gpus=0))
    assert not killer.is_alive()
    return [records[name, 0] for name in ("first", "second", "third")]


def test_the_next_trial_has_its_processes_before_the_one_before_ends(one_by_one):
    first, second, third = (record["results"] for record in one_by_one)
    assert second["born"] < first["ended"]
    assert third["pid"] not in (first["pid"], second["pid"])
    assert first["pid"] != second["pid"]
    assert second["started"] - first["ended"] < 3.0


def test_nothing_runs_before_its_turn(one_by_one):
    first, second, third = (record["results"] for record in one_by_one)
    assert first["ended"] <= second["started"]
    assert second["ended"] <= third["started"]


def test_a_trial_that_loses_a_worker_takes_no_other_along(one_by_one):
    """Neither the one that waits nor the one that trains meanwhile. A start that fails is repeated by Ray Train."""
    assert [record["status"] for record in one_by_one] == [FINISHED] * 3
    assert [record["attempt"] for record in one_by_one][::2] == [1, 2]


def test_a_run_in_processes_that_waited_has_the_numbers_of_a_cold_start(tmp_path):
    """Bit for bit, the second and third trial against plain processes of their own threads."""
    config = ScatteringConfig(n_blocks=3, L=4, kernel_size=5, train_size=0.3, lr_epochs=2, epochs=2)
    experiment = Experiment(name="scattering", config=config, trainable="trainables.scattering", seeds=(42, 43, 44))
    records = swept(tmp_path / "results", [experiment], Resources(cpus=1, gpus=0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for seed in (43, 44):
        cold = replace(config, seed=seed, save_dir=str(tmp_path / str(seed)))
        *_, last = train(cold)
        assert records["scattering", seed]["curves"] == last["curves"]
    torch.set_num_threads(threads)


def test_no_process_of_a_trial_is_started_in_vain(tmp_path):
    """Short trials end while others start: each uses the process that it asked for, or one of an ended trial."""
    started: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            started.update(pid for _, pid in processes_of("ImplicitFunc", {os.getpid()}))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    swept(tmp_path, [fake(f"e{i}", i, seconds=0.1) for i in range(16)], Resources(cpus=8, gpus=0))
    done.set()
    looking.join()
    used = {int(run.name.split("-")[-2]) for run in (tmp_path / "ray" / "train").iterdir() if run.name.startswith("e")}
    assert started == used
    assert len(used) <= 8


def test_trials_on_one_machine_get_gpus_of_their_own(tmp_path):
    """Two at a time; that there are no GPUs here is no matter to fakes. Half the CPUs belong to each."""
    experiments = [fake(name, i, seconds=4.0) for i, name in enumerate(("a", "b", "c"))]
    records = swept(tmp_path, experiments, Resources(cpus=2, gpus=2, gpu_names=("3", "GPU-7f")))
    seen = {name: records[name, 0]["results"] for name in ("a", "b", "c")}
    assert {seen["a"]["gpus"], seen["b"]["gpus"]} == {"3", "GPU-7f"}
    assert seen["c"]["started"] >= min(seen["a"]["ended"], seen["b"]["ended"])
    assert seen["c"]["gpus"] in ("3", "GPU-7f")
    assert {one["threads"] for one in seen.values()} == {"1"}
