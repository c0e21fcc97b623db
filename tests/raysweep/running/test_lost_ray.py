"""Ray's own processes die or stand still while a sweep runs, or may not open enough files to begin with."""

import os
import signal
import subprocess
import sys
import time

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.live.state import WAITING, read_state
from raysweep.running import supervisor
from tests.conftest import ROOT, run_sweep
from tests.raysweep.sweeps import CHEAP, background, daemon_of, gone_within, numbers, wait_for

ENDLESS = (*CHEAP, "--set", "epochs=100000")


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The results of a sweep that nothing happened to."""
    folder = tmp_path_factory.mktemp("calm") / "results"
    ran = run_sweep(*CHEAP, "--set", "epochs=40", "--results", folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(("daemon", "called"), [("/raylet", "raylet"), ("/gcs_server", "GCS server")])
def test_a_lost_ray_ends_the_sweep_in_a_line_and_nothing_is_lost(tmp_path, calm, daemon, called):
    folder = tmp_path / "results"
    flags = (*CHEAP, "--set", "epochs=40", "--results", folder)
    with background(*flags) as (process, lines):
        wait_for(lines, "train 5/")
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        os.kill(daemon_of(daemon, process.pid), signal.SIGKILL)
        killed = time.monotonic()
        rest = "".join(lines)
        code = process.wait(timeout=60)
        assert time.monotonic() - killed < 30
    said = f"error: Ray was lost (its {called} is gone); the same command goes on from the last checkpoints"
    assert (code, rest.splitlines()[-1]) == (1, said), rest
    assert "Traceback" not in rest
    assert gone_within(15, ours)
    state = read_state(open_ledger(folder))
    assert (state.why_ended, {row.state for row in state.run_states}) == ("Ray was lost", {WAITING})
    status = run_sweep("--status", "--results", folder)
    assert ": Ray was lost; the same command goes on" in status.stdout
    again = run_sweep(*flags)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "goes on after train epoch" in again.stdout
    assert numbers(folder) == numbers(calm)
    assert "Ray was lost" not in run_sweep("--status", "--results", folder).stdout


@pytest.mark.ray
@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_whose_ray_stands_still(tmp_path):
    """Both processes that all others ask listen, but never answer."""
    with background(*ENDLESS, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "train 5/")
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        for daemon in ("/raylet", "/gcs_server"):
            os.kill(daemon_of(daemon, process.pid), signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        rest = "".join(lines)
        assert process.wait(timeout=60) == 130, rest
        assert time.monotonic() - sent < 15, "the time of the tables included"
    assert gone_within(15, ours)


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_does_without_the_dashboard_the_agents_and_the_monitor_of_logs(tmp_path):
    flags = (*CHEAP, "--set", "epochs=40", "--results", tmp_path / "results")
    with background(*flags) as (process, lines):
        wait_for(lines, "train 5/")
        for daemon in ("dashboard/dashboard.py", "log_monitor.py"):
            os.kill(daemon_of(daemon, process.pid), signal.SIGKILL)
        rest = "".join(lines)
        assert process.wait(timeout=120) == 0, rest


def with_open_files(most: int, *args) -> subprocess.CompletedProcess:
    command = f'ulimit -n {most}; exec "$@"'
    shell = ["bash", "-c", command, "bash", sys.executable, "run_sweep.py", *map(str, args)]
    return subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_too_few_open_files_are_refused_in_a_line_before_anything_starts(tmp_path):
    ran = with_open_files(64, *ENDLESS, "--results", tmp_path / "results")
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "error: each process may have 64 files open at a time, and Ray needs 256: `ulimit -n 4096` raises that, as far "
        "as this machine allows"
    ]
    assert not (tmp_path / "results").exists()


@pytest.mark.ray
@pytest.mark.slow
def test_256_open_files_suffice(tmp_path):
    ran = with_open_files(256, *CHEAP, "--results", tmp_path / "results")
    assert ran.returncode == 0, ran.stdout + ran.stderr
