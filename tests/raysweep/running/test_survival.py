"""Whatever happens to a sweep, the same command ends with the numbers of the one that nothing happened to."""

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from raysweep import load_results
from raysweep.ledger.opening import open_ledger
from raysweep.running import supervisor
from tests.conftest import run_sweep
from tests.raysweep.sweeps import PAIR, background, gone_within, numbers, process_of, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ONE = ("--group", "cifar", "--only", "3b_cmod_L4_s100", "--seeds", "42")
KILLS = 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "results"
    ran = run_sweep(*PAIR, "--results", folder)
    assert ran.returncode == 0, ran.stdout
    return folder


def finished(folder: Path) -> dict[str, bytes]:
    """The records of finished runs, byte by byte."""
    ledger = open_ledger(folder)
    return {name: (folder / "records" / f"{name}.json").read_bytes() for name in ledger.finished()}


def test_a_driver_killed_at_twenty_moments_loses_and_repeats_nothing(tmp_path, whole):
    """Seeded random moments between the first lines and the last; a run is never begun again once it has finished."""
    draw = random.Random(0)
    folder = tmp_path / "results"
    known: dict[str, bytes] = {}
    begun: dict[str, int] = {}
    for _ in range(KILLS):
        with background(*PAIR, "--results", folder) as (process, lines):
            wait_for(lines, "results in")
            time.sleep(draw.uniform(0, 25))
            ours = [pid for pid, _ in supervisor.descendants({process.pid})]
            process.kill()
            process.wait()
        assert gone_within(15, ours)
        now = finished(folder)
        assert {name: now.get(name) for name in known} == known, "a finished result was lost or written again"
        attempts = {name: len((folder / "attempts" / name).read_text().splitlines()) for name in now}
        assert {name: attempts[name] for name in begun} == begun, "a finished run was begun again"
        known, begun = now, attempts
    ran = run_sweep(*PAIR, "--results", folder)
    assert ran.returncode == 0, ran.stdout
    assert json.dumps(numbers(folder)).encode() == json.dumps(numbers(whole)).encode()


def test_a_rank_that_stands_still_is_noticed_and_the_run_goes_on(tmp_path):
    flags = (*ONE, "--num-workers", "2", "--set", "lr_epochs=2", "epochs=6")
    calm = run_sweep(*flags, "--results", tmp_path / "calm")
    assert calm.returncode == 0, calm.stdout
    with background(*flags, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "finetune 1/6")
        os.kill(process_of("RayTrainWorker", {process.pid}), signal.SIGSTOP)
        rest = "".join(lines)
        assert process.wait(timeout=300) == 0, rest
    assert "interrupted: no worker got on for" in rest
    assert "goes on after finetune epoch" in rest
    assert numbers(tmp_path / "results") == numbers(tmp_path / "calm")
    stacks = list((tmp_path / "results" / "runs").glob("*/stacks-*"))
    assert any("training.py" in file.read_text() for file in stacks), "that of the other rank, which waited for it"


def test_ctrl_c_within_an_epoch_loses_no_step(tmp_path):
    flags = (*ONE, "--set", "lr_epochs=1", "epochs=3", "global_batch_size=16")
    calm = run_sweep(*flags, "--results", tmp_path / "calm")
    assert calm.returncode == 0, calm.stdout
    with background(*flags, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "finetune 1/3")
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert process.wait(timeout=60) == 130, rest
    assert "stopped with a checkpoint" in rest
    ran = run_sweep(*flags, "--results", tmp_path / "results")
    assert ran.returncode == 0, ran.stdout
    assert " steps" in next(line for line in ran.stdout.splitlines() if "goes on after finetune" in line)
    assert numbers(tmp_path / "results") == numbers(tmp_path / "calm")


def test_an_urgent_group_is_handed_over_and_goes_first(tmp_path):
    long = (*ONE, "--num-workers", "2", "--set", "lr_epochs=2", "epochs=8", "--results", tmp_path / "results")
    short = ("--group", "cifar", "--only", "3b_cmod_L4_s10", "--seeds", "7", "--set", "lr_epochs=1", "epochs=0")
    with background(*long) as (process, lines):
        wait_for(lines, "finetune 1/8")
        refused = run_sweep(*short, "--results", tmp_path / "results")
        assert refused.returncode == 2
        assert f"is in use by process {process.pid} on" in refused.stderr
        asked = time.monotonic()
        handed = run_sweep(*short, "--preempt", "--results", tmp_path / "results")
        assert handed.returncode == 0, handed.stderr
        assert "it has taken it over" in handed.stdout
        said = []
        for line in lines:
            said.append(line)
            if "3b_cmod_L4_s10 seed 7  starts" in line:
                break
        assert time.monotonic() - asked < 60
        rest = "".join((*said, *lines))
        assert process.wait(timeout=300) == 0, rest
    order = [
        rest.index(text) for text in ("stopped with a checkpoint", "s10 seed 7  finished", "goes on after finetune")
    ]
    assert order == sorted(order)
    assert set(load_results(tmp_path / "results")["experiment"]) == {"3b_cmod_L4_s100", "3b_cmod_L4_s10"}
    calm = run_sweep(*long[:-1], tmp_path / "calm")
    assert calm.returncode == 0
    ours = [row for row in numbers(tmp_path / "results") if row["experiment"] == "3b_cmod_L4_s100"]
    assert ours == numbers(tmp_path / "calm")


def test_a_budget_ends_a_sweep_with_checkpoints_and_says_what_is_left(tmp_path):
    """The first run takes longer than the 18 seconds that there are."""
    flags = (*PAIR[:-3], "lr_epochs=3", "epochs=40", "train_size=0.3", "--num-workers", "2")
    flags = (*flags, "--results", tmp_path / "results")
    ran = run_sweep(*flags, "--budget-hours", "0.005")
    assert ran.returncode == 1
    assert "the budget is used up; 1 run not started: 3b_cmod_L4_rand_s10 seed 42" in ran.stdout
    again = run_sweep(*flags)
    assert again.returncode == 0, again.stdout


def test_a_lost_node_of_three_loses_nothing(tmp_path, monkeypatch):
    """A head without CPUs and three nodes of one; the one that trains goes away."""
    from raysweep.running.cluster import prepare_environment

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    prepare_environment()
    import ray
    from ray.cluster_utils import Cluster

    flags = (*ONE, "--set", "lr_epochs=2", "epochs=4")
    calm = run_sweep(*flags, "--results", tmp_path / "calm")
    assert calm.returncode == 0, calm.stdout
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "resources": {"slot": 3}, "include_dashboard": True},
    )
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
        cluster.wait_for_nodes()
        with background(*flags, "--address", cluster.address, "--results", tmp_path / "results") as (process, lines):
            wait_for(lines, "finetune 1/4")
            cluster.remove_node(next(filter(trains, nodes)), allow_graceful=False)
            rest = "".join(lines)
            assert process.wait(timeout=300) == 0, rest
        assert "goes on after finetune" in rest
        assert numbers(tmp_path / "results") == numbers(tmp_path / "calm")
    finally:
        ray.shutdown()
        cluster.shutdown()


def trains(node) -> bool:
    """Whether a node of a test cluster holds a worker."""
    started = {info.process.pid for infos in node.all_processes.values() for info in infos}
    with contextlib.suppress(LookupError):
        return process_of("RayTrainWorker", started) > 0
    return False
