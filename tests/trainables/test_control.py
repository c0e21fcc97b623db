"""Stopped or killed after any step, a run goes on with the numbers that it would have had."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, run
from tests.trainables.training import TORCHRUN
from trainables.airbench import ABLATIONS
from trainables.airbench import train as train_airbench
from trainables.control import RunControl
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig, ScatteringNet, train

SMALL = {"n_blocks": 2, "L": 4, "kernel_size": 5, "train_size": 0.2, "lr_epochs": 2, "epochs": 2, "print_freq": 1}
STEPS = 3  # of an epoch
OF_THE_MACHINE = ("seconds", "per_second", "data_wait", "memory_bytes")
"""How the names of what time and memory have a part in end."""


def numbers(folder: Path) -> dict:
    """Everything in results.json that a clock has no part in."""
    content = json.loads((folder / "results.json").read_text())
    results = {name: value for name, value in content["results"].items() if not name.endswith(OF_THE_MACHINE)}
    return {"results": results, "curves": content["curves"]}


def require_same(ours: Path, theirs: Path) -> None:
    assert numbers(ours) == numbers(theirs)
    weights = [ScatteringNet.load(folder).state_dict() for folder in (ours, theirs)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    list(train(ScatteringConfig(**SMALL, save_dir=str(folder))))
    return folder


def test_a_run_that_is_stopped_after_every_step_has_the_same_numbers(tmp_path, whole):
    config = ScatteringConfig(**SMALL, save_dir=str(tmp_path))
    (tmp_path / "stop").touch()
    ends, positions = [], []
    while not ends or (ends[-1] == "stopped" and len(ends) < 20):
        reports = list(train(config))
        ends.append(reports[-1]["event"])
        positions.append(reports[0].get("resumed_at"))
    assert ends == ["stopped"] * 4 * STEPS + ["result"]
    assert positions[:4] == [None, ["head", 0, 1], ["head", 0, 2], ["head", 0, 3]]
    require_same(tmp_path, whole)


@pytest.mark.parametrize("kills", [(1, 2), (4, 4), (3, 9)])
def test_a_run_that_is_cut_off_twice_after_any_step_has_the_same_numbers(tmp_path, whole, kills):
    config = ScatteringConfig(**SMALL, checkpoint_minutes=0, save_dir=str(tmp_path))
    for steps in kills:
        reports = train(config)
        made = 0
        while made < steps:
            made += next(reports)["event"] == "progress"
        del reports  # nothing is written any more
    list(train(config))
    require_same(tmp_path, whole)


STOPPED = """
import sys
from pathlib import Path
from trainables.distributed import process_group_from_env
from trainables.scattering import ScatteringConfig, train
with process_group_from_env():
    config = ScatteringConfig(**{small!r}, save_dir=sys.argv[1])
    times = 0
    while [report["event"] for report in train(config)][-1] == "stopped" and times < 20:
        times += 1
    Path(sys.argv[1], "times").write_text(str(times))
"""


def test_two_workers_that_are_stopped_after_every_step_have_the_same_numbers(tmp_path):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED.format(small=SMALL))
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    (tmp_path / "stopped" / "stop").touch()
    for name in ("whole", "stopped"):
        ran = run(*TORCHRUN, script, tmp_path / name, OMP_NUM_THREADS="1")
        assert ran.returncode == 0, ran.stderr
    assert [(tmp_path / name / "times").read_text() for name in ("whole", "stopped")] == ["0", str(4 * STEPS)]
    require_same(tmp_path / "stopped", tmp_path / "whole")


def test_a_checkpoint_within_an_epoch_holds_tensors_and_plain_values_alone(tmp_path):
    (tmp_path / "stop").touch()
    list(train(ScatteringConfig(**SMALL, save_dir=str(tmp_path))))
    within = torch.load(tmp_path / "last.pt", weights_only=True)["within"]
    assert within["step"] == 1
    assert [seen for _, seen in within["sums"]] == [128]


def test_airbench_ends_when_asked_and_starts_over(tmp_path):
    config = ABLATIONS["mirror"].__class__(epochs=1, save_dir=str(tmp_path))
    (tmp_path / "stop").touch()
    assert [report["event"] for report in train_airbench(config)] == ["start", "stopped"]
    (tmp_path / "stop").unlink()
    assert [report["event"] for report in train_airbench(config)] == ["start", "epoch", "result"]


def test_a_worker_says_that_it_is_at_work_and_where_it_is(tmp_path):
    """Its pulse goes on while it trains; SIGUSR1 shows its stacks; nothing is left when it has ended."""
    flags = ("--n-blocks", "3", "--lr-epochs", "9999", "--epochs", "0", "--patience", "9999", "--print-freq", "0")
    command = (sys.executable, "-m", "trainables.scattering", *flags, "--save-dir", str(tmp_path))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            pulses = set()
            until = time.monotonic() + 120
            while (len(pulses) < 3 or not (tmp_path / "best.pt").exists()) and time.monotonic() < until:
                time.sleep(0.2)
                if (tmp_path / "pulse-0").exists() and (text := (tmp_path / "pulse-0").read_text()):
                    pulses.add(text)
            host, pid, beats, longest = max(pulses).split()
            assert (host, int(pid)) == (os.uname().nodename, process.pid)
            assert int(beats) > 0
            assert 0 <= float(longest) < 60
            process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            assert "training.py" in (tmp_path / "stacks-0").read_text()
            (tmp_path / "stacks-0").write_text("")
            (tmp_path / "stop").touch()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt", "stop"]


def test_what_comes_first_may_take_its_time_and_stacks_stay(tmp_path):
    """Where a phase begins nothing is known of its batches; what an earlier attempt has left is there still."""
    (tmp_path / "stacks-0").write_text("of an earlier attempt")
    workers = Workers(rank=0, world_size=1, device=torch.device("cpu"))
    with contextlib.closing(RunControl(tmp_path, workers, checkpoint_minutes=1)) as control:
        pulse = tmp_path / "pulse-0"
        assert pulse.read_text().split()[2:] == ["0", "0.000"]
        assert list(control.with_heartbeats("abc")) == ["a", "b", "c"]
        time.sleep(1.1)
        control.heartbeat()
        beats, longest = pulse.read_text().split()[2:]
        assert (beats, 1.1 <= float(longest) < 10) == ("4", True)
        control.begin_phase()
        assert pulse.read_text().split()[2:] == ["0", "0.000"]
    assert (tmp_path / "stacks-0").read_text() == "of an earlier attempt"
