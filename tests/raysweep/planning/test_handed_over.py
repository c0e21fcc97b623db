"""A command that is handed over is done by the same code or refused, and its giver is told which."""

import contextlib
import threading

import pytest

from examples import breast_cancer
from raysweep.ledger import Code, hold_or_offer, open_ledger
from raysweep.planning import HandedOver, Resources
from trainables.cli import parse_values

COMMAND = ("--group", "cancer", "--only", "linear", "--seeds", "3")


@pytest.fixture
def holder(tmp_path):
    """The sweep that holds a results folder, and takes what is handed over."""
    ledger = open_ledger(tmp_path)
    code = Code(hash="0123456789abcdef", revision=None, patch=None, folder=str(tmp_path))
    with ledger.store.locked():
        resources = Resources(cpus=2, gpus=0)
        yield HandedOver(ledger, resources, lambda _: [breast_cancer.FAMILY], parse_values, lambda _: code)


def hand_over(folder, argv, code):
    """Start to hand a command over; the returned function waits for how that ends."""
    ended = []

    def offer():
        with contextlib.ExitStack() as stack:
            try:
                ended.append(hold_or_offer(open_ledger(folder), stack, argv, lambda: code))
            except Exception as error:
                ended.append(error)

    thread = threading.Thread(target=offer)
    thread.start()

    def end():
        thread.join(10)
        return ended[0]

    return end


def taken(holder, folder):
    """What the holder takes once there is something."""
    for _ in range(100):
        if list((folder / "inbox").glob("*.json")):
            return holder.take()
        threading.Event().wait(0.05)
    raise AssertionError("nothing was handed over")


def test_a_command_of_the_same_code_is_taken(holder, tmp_path):
    end = hand_over(tmp_path, COMMAND, "0123456789abcdef")
    (run,) = taken(holder, tmp_path)
    assert (run.experiment.name, run.config.seed, run.code.hash) == ("linear", 3, "0123456789abcdef")
    assert end() is True
    assert not list((tmp_path / "inbox").iterdir())


@pytest.mark.parametrize(
    ("argv", "code", "why"),
    [
        (COMMAND, "fedcba9876543210", "its code is 0123456789abcdef, this command's is fedcba9876543210"),
        ((*COMMAND, "--set", "hidden=-1"), "0123456789abcdef", "hidden=-1 must be at least 0"),
    ],
)
def test_the_giver_of_a_command_is_told_why_it_is_refused(holder, tmp_path, argv, code, why):
    end = hand_over(tmp_path, argv, code)
    assert taken(holder, tmp_path) == []
    assert why in str(end())
    assert not list((tmp_path / "inbox").iterdir())
    assert holder.names == []
