"""Whole sweeps that go on until their questions are answered, killed on the way or not."""

import json

import pytest

from raysweep import load_results
from raysweep.running import supervisor
from tests.conftest import ROOT, run_sweep
from tests.raysweep.sweeps import background, gone_within, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

NOISY = ("--space", ROOT / "tests" / "noisy_space.py", "--group", "noisy", "--until-answered")
PAIR = (*NOISY, "--only", "base,better", "--set", "seconds=3")


def rounds(folder) -> list[list[tuple[str, int, str]]]:
    lines = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    return [[(run["experiment"], run["seed"], run["why"]) for run in line["runs"]] for line in lines]


def answer(said: str) -> str:
    return next(line for line in said.splitlines() if line.startswith("answered: "))


def test_a_sweep_killed_twice_within_rounds_chooses_and_answers_as_one_that_was_not(tmp_path):
    calm = run_sweep(*PAIR, "--results", tmp_path / "calm", timeout=600)
    assert calm.returncode == 0, calm.stdout + calm.stderr
    assert answer(calm.stdout).startswith("answered: 1 of 1 question: is_better (yes, n = ")
    for begun in ("round 2:", "round 3:"):
        with background(*PAIR, "--results", tmp_path / "killed") as (process, lines):
            wait_for(lines, begun)
            wait_for(lines, "starts")
            ours = [pid for pid, _ in supervisor.descendants({process.pid})]
            process.kill()
            process.wait()
        assert gone_within(15, ours)
    again = run_sweep(*PAIR, "--results", tmp_path / "killed", timeout=600)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "goes on with what was begun: " in again.stdout
    assert answer(again.stdout) == answer(calm.stdout)
    assert rounds(tmp_path / "killed") == rounds(tmp_path / "calm")
    assert len(rounds(tmp_path / "calm")) >= 3  # so that both kills were within rounds
    runs = [load_results(tmp_path / name).set_index("run")["score"].to_dict() for name in ("calm", "killed")]
    assert runs[0] == runs[1]


def test_a_running_sweep_takes_in_another_command_and_a_budget_ends_it(tmp_path):
    results = ("--results", tmp_path / "results")
    with background(*PAIR, *results) as (process, lines):
        wait_for(lines, "round 2:")
        handed = run_sweep(*NOISY, "--only", "base,equal", "--set", "seconds=1", "--preempt", *results)
        assert "it has taken it over" in handed.stdout, handed.stdout + handed.stderr
        rest = "".join(lines)
        assert process.wait(timeout=600) == 0, rest
    # Both came to an end; with the second one's question the family has grown, and the first may need more seeds.
    assert "answered: 1 of 1 question: is_equal" in rest
    assert rest.count("answered: ") == 2
    short = run_sweep(*NOISY, "--only", "base,better", "--set", "seconds=60", "--budget-hours", "0.01", *results)
    assert short.returncode == 1, short.stdout + short.stderr
    assert "the budget is used up" in short.stdout
    assert "it goes on with: python run_sweep.py --space" in short.stdout
