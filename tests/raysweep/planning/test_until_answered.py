"""Rounds until the questions are answered, on a ledger on disk and with the real analysis; only training is left out.

The runs draw their results at random (tests/noisy_space.py): `better` is better by 3 at a spread of 0.5, `equal` is no
better, and `costly` takes 20 times as long and varies twice as much.
"""

import json
from dataclasses import replace

import pytest

import run_sweep
from analysis.anytime import two_sided
from raysweep.experiment import Cost
from raysweep.ledger import rounds_of
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import DIVERGED, FAILED, FINISHED
from raysweep.messages import PlanError
from raysweep.planning import Budget, Resources, UntilAnswered, parse_options, sweep_spec
from raysweep.planning.until_answered import seeds_to_take
from tests.noisy_space import FAMILY, score
from trainables.cli import parse_values

RESOURCES = Resources(cpus=2, gpus=0)


class Command:
    """One run of a command line in a results folder."""

    def __init__(self, folder, *argv, next_seeds=run_sweep.next_seeds, resources=RESOURCES) -> None:
        self.ledger = open_ledger(folder)
        argv = ("--group", "noisy", "--until-answered", *argv)
        self.spec = sweep_spec(parse_options(argv), FAMILY, parse_values)
        starts = self.spec.plan(self.ledger, resources)
        budget = Budget(self.spec.options.budget_hours)
        self.until = UntilAnswered(self.spec, starts, self.ledger, resources, next_seeds, costs, budget, argv)

    def go(self, runs: int | None = None, ends=lambda run: FINISHED) -> list[list[tuple[str, int]]]:
        """Carry out rounds until they end or, after so many runs, the command is killed. Returns what each ran."""
        ran: list[list[tuple[str, int]]] = []
        rounds = self.until.rounds()
        for plan in rounds:
            self.spec.write_plan(self.ledger, [run.record() for run in plan])
            todo = [run for run in plan if run.name not in self.ledger.settled()]
            ran.append([])
            for run in todo:
                if runs is not None and sum(map(len, ran)) == runs:
                    rounds.close()
                    return ran
                ran[-1].append((run.experiment.name, run.config.seed))
                finish(self.ledger, run, ends(run))
        return ran


def costs(runs):
    return {run.experiment.name: Cost(operations=run.config.images, seconds=(9.0, 10.0, 12.0)) for run in runs}


def finish(ledger, run, status=FINISHED):
    """What a launcher leaves of a run."""
    results = {"score": score(run.config)} if status == FINISHED else {}
    times = {"started": "2030-01-01T00:00:00+00:00", "finished": "2030-01-01T00:00:10+00:00"}
    ledger.write({**run.record(), "status": status, "results": results, "curves": {}, "error": None, **times})


def scores(folder, name):
    found = {r["seed"]: r["results"]["score"] for r in open_ledger(folder).records() if r["experiment"] == name}
    return [found[seed] for seed in sorted(found)]


def chosen(folder, plan):
    return [[(one.experiment, one.seed) for one in round_] for round_ in rounds_of(open_ledger(folder).store, plan)]


def test_seeds_are_added_until_the_test_decides_and_no_longer(tmp_path, capsys):
    """By the test that holds at any look: the last pair shows a difference, and without it there was none."""
    ran = Command(tmp_path, "--only", "base,better").go()
    assert ran[0] == [("base", 0), ("better", 0)]
    assert all(sorted(one) == [("base", i), ("better", i)] for i, one in enumerate(ran))
    better, base = scores(tmp_path, "better"), scores(tmp_path, "base")
    differences = [b - a for b, a in zip(better, base, strict=True)]
    p = [two_sided(differences[:n]) for n in range(2, len(base) + 1)]
    assert [value <= 0.05 for value in p] == [False] * (len(p) - 1) + [True]
    said = capsys.readouterr().out
    assert f"answered: 1 of 1 question: is_better (yes, n = {len(base)})" in said
    assert "goes on with" not in said


def test_first_one_seed_of_every_arm_then_the_cheap_and_undecided_ones(tmp_path, capsys):
    ran = Command(tmp_path).go()
    assert ran[0] == [("base", 0), ("better", 0), ("equal", 0), ("costly", 0)], "but for the one nobody asks about"
    assert "left out, as no question compares it: alone" in capsys.readouterr().out
    runs = [run for one in ran for run in one]
    assert len(runs) == len({*runs}), "none twice"
    last = {name: max(i for i, one in enumerate(ran) if (name in dict(one))) for name in ("better", "equal", "costly")}
    assert last["better"] < last["costly"], "what is answered gets no more"


THREE = ("--only", "base,better,equal")


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A folder in which a command ran that nothing happened to."""
    folder = tmp_path_factory.mktemp("calm")
    Command(folder, *THREE).go()
    return folder


@pytest.mark.parametrize("kills", [(1,), (2, 3), (4, 1, 2), (0, 5)])
def test_a_command_that_was_killed_chooses_as_one_that_was_not(tmp_path, calm, kills):
    for runs in kills:
        Command(tmp_path, *THREE).go(runs)
    again = Command(tmp_path, *THREE)
    again.go()
    rounds = chosen(calm, again.until.plan)
    assert chosen(tmp_path, again.until.plan) == rounds
    assert len(rounds) > 3
    assert {r["run"] for r in open_ledger(tmp_path).records()} == {r["run"] for r in open_ledger(calm).records()}


def test_a_round_that_was_written_down_is_carried_on_as_it_was_and_not_chosen_again(tmp_path):
    Command(tmp_path, "--only", "base,better").go(3)

    def never(situation):
        raise AssertionError("it is chosen already")

    rounds = Command(tmp_path, "--only", "base,better", next_seeds=never).until.rounds()
    plan = next(rounds)
    todo = [run for run in plan if run.name not in open_ledger(tmp_path).settled()]
    assert [(run.experiment.name, run.config.seed) for run in todo] == [("better", 1)]


def test_another_set_or_selection_has_rounds_of_its_own(tmp_path):
    plans = [
        Command(tmp_path, *more).until.plan
        for more in ((), ("--set", "spread=0.4"), ("--only", "base,better"), ("--seeds", "0-9"), ("--max-seeds", "5"))
    ]
    assert len({*plans[:4]}) == 4
    assert plans[4] == plans[0], "more seeds of the same"
    first = Command(tmp_path)
    first.go(5)
    other = Command(tmp_path, "--set", "spread=0.4")
    assert other.go()[0] == [("base", 0), ("better", 0), ("equal", 0), ("costly", 0)]


def test_seeds_whose_runs_fail_or_diverge_are_lost_and_the_next_are_taken(tmp_path):
    def ends(run):
        return {("better", 0): FAILED, ("base", 1): DIVERGED}.get((run.experiment.name, run.config.seed), FINISHED)

    command = Command(tmp_path, "--only", "base,better")
    command.go(ends=ends)
    rounds = chosen(tmp_path, command.until.plan)
    pairs = {seed for one in rounds for name, seed in one if name == "better"}
    assert {0, 1} < pairs
    assert max(pairs) > 2
    again = Command(tmp_path, "--only", "base,better")
    assert again.go()[0] == [("better", 0)], "the next command tries what has failed once more, as any other"
    assert chosen(tmp_path, again.until.plan) == chosen(tmp_path, command.until.plan)


def test_a_command_whose_runs_all_fail_ends(tmp_path, capsys):
    ran = Command(tmp_path, "--only", "base,better", "--max-seeds", "4").go(ends=lambda run: FAILED)
    assert sorted(run for one in ran for run in one) == [(name, s) for name in ("base", "better") for s in range(3)]
    said = "out of reach: is_better (open, n = 0, one seed, which shows no variance, is left of 4)"
    assert said in capsys.readouterr().out


def test_runs_that_a_launcher_did_not_do_end_the_rounds(tmp_path, capsys):
    """As after the end of the budget."""
    command = Command(tmp_path, "--only", "base,better")
    rounds = command.until.rounds()
    finish(command.ledger, next(rounds)[0])
    assert list(rounds) == []
    said = capsys.readouterr().out
    assert "undecided: is_better (open, n = 0): not known before two pairs tell how much they vary" in said
    assert "it goes on with: python run_sweep.py --group noisy --until-answered --only base,better\n" in said


def test_what_cannot_be_answered_is_said_with_its_cost_and_the_command_that_goes_on(tmp_path, capsys):
    Command(tmp_path, "--only", "base,equal", "--max-seeds", "3", "--set", "spread=1.5").go()
    said = capsys.readouterr().out
    assert "out of reach: is_equal (undecided, n = " in said
    line = next(line for line in said.splitlines() if "goes on" in line)
    words = line.split("python run_sweep.py ")[1].split()
    assert words[:5] == ["--group", "noisy", "--until-answered", "--only", "base,equal"]
    assert words.count("--max-seeds") == 1
    assert int(words[-1]) > 3
    more = parse_options(words)
    assert more.until_answered
    assert more.set == {"spread": "1.5"}


def test_results_that_are_there_count_whatever_their_seeds(tmp_path):
    other = sweep_spec(parse_options(("--group", "noisy", "--seeds", "5-7")), FAMILY, parse_values)
    ledger = open_ledger(tmp_path)
    for run in other.plan(ledger, RESOURCES):
        if run.experiment.name in ("base", "better") and (run.experiment.name, run.config.seed) != ("better", 7):
            finish(ledger, run)
    ran = Command(tmp_path, "--only", "base,better").go()
    assert ("better", 7) in ran[0], "whose pair costs least"
    assert {run for one in ran for run in one if run[1] > 4} == {("better", 7)}


def test_equal_runs_of_another_experiment_count(tmp_path):
    """`alone` with the values of `base` would be one; here records of its name stand for it."""
    command = Command(tmp_path, "--only", "base,better")
    for name in ("base", "better"):
        (run,) = command.spec.make([e for e in FAMILY.experiments if e.name == name], [0], command.ledger, RESOURCES)
        finish(command.ledger, replace(run, name=f"x{run.name}", experiment=replace(run.experiment, name=f"x{name}")))
    ran = command.go()
    assert ran[0] == [("base", 1), ("better", 1)]
    assert {r["same_as"] for r in command.ledger.records() if "same_as" in r} == {
        r["run"] for r in command.ledger.records() if r["run"].startswith("x")
    }


def test_a_folder_in_which_all_is_answered_runs_nothing_and_plans_what_is_there(tmp_path):
    first = Command(tmp_path, "--only", "base,better")
    first.go()
    again = Command(tmp_path, "--only", "base,better")
    assert again.go() == [[]]
    assert chosen(tmp_path, again.until.plan) == chosen(tmp_path, first.until.plan)


def test_what_was_forgotten_is_chosen_anew(tmp_path):
    command = Command(tmp_path, "--only", "base,better")
    command.go()
    again = Command(tmp_path, "--only", "base,better", "--redo", "better")
    again.until.forget()
    assert {run.name for run in again.until.known_runs()} == again.ledger.finished()
    for record in list(again.ledger.records()):
        if record["experiment"] == "better":
            again.ledger.remove(record["run"])
    ran = again.go()
    assert ran[0][0] == ("better", 0)
    assert {name for name, _ in ran[0]} == {"better"}, "the baseline is there"


def test_the_plan_shows_what_to_expect(tmp_path):
    command = Command(tmp_path, "--only", "base,better")
    runs, allocation = command.until.next_plan()
    assert [(run.experiment.name, run.config.seed) for run in runs] == [("base", 0), ("better", 0)]
    said = "\n".join(command.until.foreseen(allocation))
    assert "2 more pairs, 0.011 CPU hours (0.01 to 0.013) and 20 more pairs, 0.11 CPU hours" in said
    Command(tmp_path, "--only", "base,equal", "--set", "spread=1.5").go(8)
    later = Command(tmp_path, "--only", "base,equal", "--set", "spread=1.5", "--budget-hours", "0.001")
    said = "\n".join(later.until.foreseen(later.until.next_plan()[1]))
    assert "is_equal (undecided, n = " in said
    assert "--budget-hours is expected to buy" in said
    assert not (tmp_path / "looks.jsonl").exists()


def test_a_used_up_budget_begins_no_round(tmp_path):
    command = Command(tmp_path, "--only", "base,better", "--budget-hours", "1gpu")
    command.until._budget.spend(3600.0)
    assert command.go() == [[]]
    assert not (tmp_path / "rounds.jsonl").exists()


def test_runs_that_no_question_compares_are_refused(tmp_path):
    with pytest.raises(PlanError, match="no question of noisy compares what is run here"):
        Command(tmp_path, "--only", "better,equal")


def test_seeds_are_those_of_the_experiments_then_the_next_ones_or_those_given():
    experiments = FAMILY.experiments[:2]
    assert seeds_to_take(experiments, None, 5) == (0, 1, 2, 3, 4)
    assert seeds_to_take(experiments, (7, 3, 9), 2) == (7, 3)


def test_rounds_say_why_each_run_was_chosen(tmp_path):
    Command(tmp_path, "--only", "base,better").go()
    lines = [json.loads(line) for line in (tmp_path / "rounds.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["runs"][0] == {"experiment": "base", "seed": 0, "why": "is_better: pair 1"}
    assert lines[-1]["runs"][0]["why"].startswith(f"is_better: pair {len(lines)}")
