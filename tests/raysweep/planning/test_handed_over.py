"""A command that is handed over is done by the same code or refused, and its giver is told which."""

import contextlib
import threading

import pytest

import run_sweep
from examples import breast_cancer
from raysweep.ledger import FINISHED, Code, hold_or_offer, open_ledger
from raysweep.planning import Budget, HandedOver, Resources, UntilAnswered, handed_over_rounds
from tests.noisy_space import FAMILY, score
from tests.raysweep.planning.test_until_answered import costs
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


UNTIL = ("--group", "noisy", "--only", "base,equal", "--set", "spread=1.5", "--until-answered", "--max-seeds", "5")


@pytest.fixture
def holder_of_rounds(tmp_path, monkeypatch):
    """A holder that takes commands which go on until their questions are answered."""
    monkeypatch.setattr(handed_over_rounds, "LOOK_EVERY", 0.0)
    ledger, resources = open_ledger(tmp_path), Resources(cpus=2, gpus=0)
    code = Code(hash="0123456789abcdef", revision=None, patch=None, folder=str(tmp_path))

    def rounds(spec, runs, argv):
        return UntilAnswered(spec, runs, ledger, resources, run_sweep.next_seeds, costs, Budget(None), argv)

    with ledger.store.locked():
        yield HandedOver(ledger, resources, lambda _: [FAMILY], parse_values, lambda _: code, rounds)


def end(folder, runs):
    ledger = open_ledger(folder)
    for run in runs:
        ledger.write({**run.record(), "status": FINISHED, "results": {"score": score(run.config)}, "curves": {}})
    return [(run.experiment.name, run.config.seed) for run in runs]


def test_each_round_of_a_command_that_is_handed_over_waits_for_the_one_before(holder_of_rounds, tmp_path):
    ended = hand_over(tmp_path, UNTIL, "0123456789abcdef")
    first = taken(holder_of_rounds, tmp_path)
    assert ended() is True
    assert [(run.experiment.name, run.config.seed) for run in first] == [("base", 0), ("equal", 0)]
    assert {run.code.hash for run in first} == {"0123456789abcdef"}
    end(tmp_path, first[:1])
    assert holder_of_rounds.take() == []
    end(tmp_path, first[1:])
    second = holder_of_rounds.take()
    assert end(tmp_path, second) == [("base", 1), ("equal", 1)]
    rest = []
    for spec, runs in holder_of_rounds.rounds_left():
        assert spec.options.until_answered
        rest.append(end(tmp_path, [run for run in runs if run.name not in open_ledger(tmp_path).settled()]))
    assert rest[0] == [("base", 2), ("equal", 2)], "what is left once the holder's own runs are done"
    assert holder_of_rounds.take() == []
    assert {run.name for run in [*first, *second]} <= {*holder_of_rounds.names}


def test_rounds_that_cannot_go_on_are_given_up_and_the_holder_is_not(holder_of_rounds, tmp_path, capsys):
    ended = hand_over(tmp_path, UNTIL, "0123456789abcdef")
    first = taken(holder_of_rounds, tmp_path)
    assert ended() is True
    end(tmp_path, first)
    (tmp_path / "rounds.jsonl").unlink()
    (tmp_path / "rounds.jsonl").symlink_to("nothing")
    assert holder_of_rounds.take() == []
    assert "handed over and given up: cannot read" in capsys.readouterr().out
    assert list(holder_of_rounds.rounds_left()) == []
