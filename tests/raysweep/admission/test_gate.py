"""Trials wait at their gate until they are let in, or stopped."""

import os
import threading

from raysweep.admission.gate import Gates, enter_gate


def waiting(gate: str, stopped: threading.Event) -> tuple[threading.Thread, list[bool]]:
    """A thread that waits at a gate, and the list to which it appends whether it was let in."""
    entered: list[bool] = []
    thread = threading.Thread(target=lambda: entered.append(enter_gate(gate, stopped.is_set)))
    thread.start()
    return thread, entered


def test_a_trial_waits_until_it_is_let_in_and_sees_the_gpus_that_are_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    gates, stopped = Gates(tmp_path), threading.Event()
    thread, entered = waiting(gates.of("C-s42"), stopped)
    gates.open("A-s42", ["0"])
    thread.join(0.2)
    assert thread.is_alive()
    gates.open("C-s42", ["3", "GPU-1f"])
    thread.join(5)
    assert entered == [True]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,GPU-1f"


def test_a_trial_without_gpus_leaves_cuda_visible_devices_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    gates = Gates(tmp_path)
    gates.open("C", [])
    assert enter_gate(gates.of("C"), lambda: False)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_trial_that_is_stopped_does_not_enter(tmp_path):
    gates, stopped = Gates(tmp_path), threading.Event()
    thread, entered = waiting(gates.of("C"), stopped)
    stopped.set()
    thread.join(5)
    assert entered == [False]


def test_gates_that_a_killed_sweep_left_open_are_closed(tmp_path):
    Gates(tmp_path).open("C", [])
    again = Gates(tmp_path)
    assert not enter_gate(again.of("C"), lambda: True)
