"""Nothing of a cluster outlives its driver: on processes that do not want to end, and on Ray."""

import os
import signal
import subprocess
import sys
import time

import pytest

from raysweep.running import supervisor
from tests.conftest import ROOT
from tests.raysweep.sweeps import PAIR, background, gone_within, living, wait_for

DRIVER = '''
import os, subprocess, sys, time
from raysweep.running import supervisor

stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
parent = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', {stubborn!r}], start_new_session=True)
time.sleep(600)
"""
other = subprocess.Popen([sys.executable, "-c", stubborn])
before = supervisor.descendants({os.getpid()})
watcher = supervisor.watch()
subprocess.Popen([sys.executable, "-c", parent])
time.sleep(float(sys.argv[1]))
ours = supervisor.descendants({os.getpid()}) - before
print(other.pid, *(pid for pid, _ in ours if pid != watcher.pid), flush=True)
time.sleep(600)
'''


@pytest.mark.parametrize(("seconds", "children"), [(2.5, 2), (0.0, 1)])
def test_what_a_killed_driver_leaves_is_ended_and_nothing_else(seconds, children):
    """Also where the driver is killed as soon as it has started something."""
    command = [sys.executable, "-c", DRIVER, str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
        other, *ours = map(int, driver.stdout.readline().split())
        assert len(ours) >= children, "a child, and what it has started in a session of its own"
        assert living(ours) == set(ours)
        driver.kill()
    try:
        assert gone_within(10, ours)
        assert living([other]) == {other}
    finally:
        os.kill(other, signal.SIGKILL)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill -9", "Ctrl-C", "Ctrl-C twice"])
def test_a_sweep_leaves_no_process_behind(tmp_path, how):
    with background(*PAIR, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "head 1/3")
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        assert len(ours) > 10
        process.send_signal(signal.SIGKILL if how == "kill -9" else signal.SIGINT)
        if how == "Ctrl-C twice":
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        started = time.monotonic()
        code = process.wait(timeout=60)
        took = time.monotonic() - started
        assert code == (-signal.SIGKILL if how == "kill -9" else 130)
        assert how == "Ctrl-C" or took < 5
    assert gone_within(15, ours)
