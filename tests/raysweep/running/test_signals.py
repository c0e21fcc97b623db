"""Whole sweeps that are told to end, whose terminal goes away, or whose output nobody reads."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raysweep import load_results
from raysweep.ledger.opening import open_ledger
from raysweep.live.state import WAITING, read_state
from raysweep.running import supervisor
from tests.conftest import ROOT, run_sweep
from tests.raysweep.sweeps import CHEAP, background, gone_within, numbers, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LONG = (*CHEAP, "--set", "epochs=40")


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The results of a sweep that nothing happened to."""
    folder = tmp_path_factory.mktemp("calm") / "results"
    ran = run_sweep(*LONG, "--results", folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_all_processes_of_the_group_is_as_ctrl_c(tmp_path, calm, number, code):
    """`timeout` sends what it receives to its child, and then to its whole group, as schedulers and shells do."""
    flags = (*LONG, "--results", tmp_path / "results")
    with background(*flags, under=("timeout", "--kill-after=60", "300")) as (process, lines):
        wait_for(lines, "train 5/")
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        process.send_signal(number)
        rest = "".join(lines)
        assert process.wait(timeout=60) == code, rest
    assert "stopped with a checkpoint" in rest
    assert "interrupted; the same command goes on from the last checkpoints" in rest
    assert "Traceback" not in rest
    assert "Stack" not in rest
    assert gone_within(15, ours)
    again = run_sweep(*flags)
    assert "goes on after train epoch" in again.stdout, again.stdout + again.stderr
    assert numbers(tmp_path / "results") == numbers(calm)


@pytest.mark.parametrize("seconds", [0.3, 2.5])
def test_a_signal_while_ray_starts_is_as_ctrl_c(tmp_path, seconds):
    """For some of this time Ray has a handler of its own in place."""
    with background(*LONG, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "results in")
        time.sleep(seconds)
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        process.send_signal(signal.SIGTERM)
        rest = "".join(lines)
        assert process.wait(timeout=60) == 143, rest
    assert "interrupted; the same command goes on" in rest
    assert "Traceback" not in rest
    assert gone_within(15, ours)


def test_under_nohup_a_sweep_trains_on(tmp_path):
    with background(*LONG, "--results", tmp_path / "results", under=("nohup",)) as (process, lines):
        wait_for(lines, "train 5/")
        os.killpg(process.pid, signal.SIGHUP)
        rest = "".join(lines)
        assert process.wait(timeout=120) == 0, rest


def test_a_terminal_that_is_closed_is_as_ctrl_c(tmp_path):
    """The terminal sends SIGHUP; whatever is printed afterwards has nowhere to go."""
    ours, theirs = pty.openpty()
    folder = tmp_path / "results"
    command = [sys.executable, "run_sweep.py", *map(str, LONG), "--results", folder]
    terminal = f"import os, pty, sys; os.login_tty({theirs}); os.execv(sys.argv[1], sys.argv[1:])"
    starter = [sys.executable, "-c", terminal, *command]
    with subprocess.Popen(starter, cwd=ROOT, pass_fds=[theirs]) as process:
        os.close(theirs)
        shown = b""
        while not re.search(rb"\b[1-9]\d*/40", shown):
            shown += os.read(ours, 65536)
        pids = [pid for pid, _ in supervisor.descendants({process.pid})]
        os.close(ours)
        assert process.wait(timeout=60) == 129
    assert gone_within(15, pids)
    state = read_state(open_ledger(folder))
    assert state.ended
    assert {row.state for row in state.run_states} == {WAITING}


def test_a_reader_that_has_seen_enough_ends_no_sweep(tmp_path, calm):
    """As of `| head -3`."""
    with background(*LONG, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "train 5/")
        process.stdout.close()
        assert process.wait(timeout=120) == 0
    assert numbers(tmp_path / "results") == numbers(calm)


def test_a_sweep_without_standard_output_trains_silently(tmp_path):
    folder = tmp_path / "results"
    command = ["bash", "-c", 'exec "$@" >&- 2>"$0"', tmp_path / "errors", sys.executable, "run_sweep.py"]
    ran = subprocess.run([*map(str, command), *map(str, CHEAP), "--results", str(folder)], cwd=ROOT, timeout=120)
    assert (ran.returncode, (tmp_path / "errors").read_text()) == (0, "")
    assert len(load_results(folder)) == 1


def states(pids: list[int]) -> set[str]:
    """The states of processes, by the letters of /proc."""
    return {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in supervisor_less(pids)}


def supervisor_less(pids: list[int]) -> list[int]:
    return [pid for pid in pids if b"raysweep.running.supervisor" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_ctrl_z_lets_all_processes_stand_still_until_the_sweep_goes_on(tmp_path):
    with background(*LONG, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "train 5/")
        process.send_signal(signal.SIGTSTP)
        time.sleep(2)
        pids = [process.pid, *(pid for pid, _ in supervisor.descendants({process.pid}))]
        assert states(pids) == {"T"}
        process.send_signal(signal.SIGCONT)
        rest = "".join(lines)
        assert process.wait(timeout=120) == 0, rest
