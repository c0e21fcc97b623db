"""The signals that ask a sweep to end, sent to real processes."""

import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT

WAITS = """
import sys, time
from raysweep.running import Interrupts

with Interrupts() as interrupts:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(interrupts.exit_code)
"""
TRAINS = """
import sys, time
from raysweep.running import Interrupts

with Interrupts() as interrupts:
    with interrupts.noticed("running trials write their checkpoints and stop"):
        print("ready", flush=True)
        while not interrupts:
            time.sleep(0.01)
        sys.stdin.readline()
    sys.exit(interrupts.exit_code)
"""
STARTS = """
        with interrupts.deferred("it stops"):
            end = time.monotonic() + 1
            while time.monotonic() < end:
                time.sleep(0.01)
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGUSR1: 138}


def started(code: str, *ignored: signal.Signals) -> subprocess.Popen:
    """A process that has printed that it is ready; all signals are as a shell leaves them, or ignored."""

    def set_signals() -> None:
        for number in CODES:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, preexec_fn=set_signals)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", CODES)
def test_before_trials_run_a_signal_ends_the_program_with_its_exit_code(number):
    with started(WAITS) as process:
        process.send_signal(number)
        assert process.wait(10) == CODES[number]


@pytest.mark.parametrize("number", CODES)
def test_while_ray_starts_a_signal_raises_at_the_end(number):
    """Not where an exception would be ignored, as in what logging does around a fork, which would keep its lock."""
    code = WAITS.replace("time.sleep(60)", STARTS)
    with started(code) as process:
        process.send_signal(number)
        assert process.wait(10) == CODES[number]


@pytest.mark.parametrize("number", CODES)
def test_while_trials_run_a_signal_is_told_and_they_end_by_themselves(number):
    with started(TRAINS) as process:
        process.send_signal(number)
        assert "running trials write their checkpoints and stop" in process.stdout.readline()
        process.stdin.write("trials have ended\n")
        process.stdin.flush()
        assert process.wait(10) == CODES[number]


def test_sigterm_comes_twice_from_timeout_and_changes_nothing_the_second_time():
    with started(TRAINS) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline().startswith("SIGTERM: ")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.stdin.write("trials have ended\n")
        process.stdin.flush()
        assert process.wait(10) == 143


@pytest.mark.parametrize("first", CODES)
def test_ctrl_c_after_any_of_them_ends_the_program_at_once(first):
    with started(TRAINS) as process:
        process.send_signal(first)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_what_is_ignored_stays_ignored():
    """As SIGHUP is under nohup, and Ctrl-C in the background of a shell."""
    with started(WAITS, signal.SIGHUP, signal.SIGINT) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
