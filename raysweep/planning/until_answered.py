"""Chooses runs round by round until the questions are answered (--until-answered).

Which runs a round has is decided by `NextSeeds` from the results so far, and written down before the first of them
starts (see `ledger.rounds`). A sweep that was stopped goes on with the round that it was in, as it was chosen.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from raysweep.experiment import Allocation, Arm, Candidate, Cost, Experiment, Situation, is_of_arm
from raysweep.ledger import DIVERGED, FAILED, FINISHED, Ledger, append_round, forget_rounds, rounds_of
from raysweep.messages import PlanError
from raysweep.planning.budget import Budget
from raysweep.planning.options import Options, without
from raysweep.planning.prospects import (
    not_compared,
    seeds_to_go_on,
    spoken_outcome,
    spoken_plan,
    spoken_purchase,
    spoken_round,
)
from raysweep.planning.resources import Resources
from raysweep.planning.runs import PlannedRun
from raysweep.planning.spec import MOST_RUNS, SweepSpec

MOST_SEEDS = 20
"""Seeds of an experiment, unless --max-seeds says otherwise."""

NextSeeds = Callable[[Situation], Allocation]
"""Returns what is to run next."""
CostsOf = Callable[[Sequence[PlannedRun]], Mapping[str, Cost]]
"""Returns the cost of a run of each experiment by its name, given one run of each."""

Run = tuple[str, int]
"""The name of an experiment, and a seed."""


class UntilAnswered:
    """The rounds of one command. Raises PlanError where no question compares what it runs."""

    def __init__(
        self,
        spec: SweepSpec,
        starts: Sequence[PlannedRun],
        ledger: Ledger,
        resources: Resources,
        next_seeds: NextSeeds,
        costs_of: CostsOf,
        budget: Budget,
        argv: Sequence[str] = (),
    ) -> None:
        """`starts` are the runs that the command, `argv`, would do with the seeds of its experiments."""
        self._spec, self._ledger, self._resources = spec, ledger, resources
        self._next_seeds, self._costs_of, self._budget = next_seeds, costs_of, budget
        self._argv = argv
        self._experiments = {run.experiment.name: run.experiment for run in starts}
        self._most_seeds = spec.options.max_seeds or MOST_SEEDS
        self._seeds = seeds_to_take(list(self._experiments.values()), spec.options.seeds, self._most_seeds)
        if (number := len(self._experiments) * self._most_seeds) > MOST_RUNS:
            said = f"{number} runs are too many for one command, which can have {MOST_RUNS}"
            raise PlanError(f"--max-seeds {self._most_seeds}: {said}")
        self._made: dict[Run, PlannedRun] = {}
        self._tried: set[Run] = set()
        """The runs that this command has tried; those that failed before may be tried once more."""
        self._firsts = self._make([(name, self._seeds[0]) for name in self._experiments])
        _require_question(spec, self._firsts)
        self.plan = identity(self._firsts, spec.options)
        """Tells the rounds of this plan from those of others."""

    def rounds(self) -> Iterator[list[PlannedRun]]:
        """Yield the plan of each round: what was done before, and what is to do. Says in the end what it came to."""
        done = self._in_order(self._by_status()[FINISHED])
        self._ledger.adopt([run.record() for run in self._make(done)])  # those that equal runs of other experiments
        if unsettled := self._unsettled():
            print(f"goes on with what was begun: {len(unsettled)} run{'s' * (len(unsettled) != 1)} to do", flush=True)
            yield self._with(unsettled)
        allocation, number = self.look(), len(rounds_of(self._ledger.store, self.plan))
        for line in not_compared(allocation.prospects, list(self._experiments)):
            print(line)
        while allocation.chosen and not self._was_cut_short() and self._budget.left(self._resources.slots) > 0:
            number += 1
            append_round(self._ledger.store, self.plan, number, allocation.chosen)
            print(*spoken_round(number, allocation.chosen), sep="\n", flush=True)
            yield self._with([(one.experiment, one.seed) for one in allocation.chosen])
            allocation = self.look()
        if not self._tried:
            yield self._with([])
        print(*self.outcome(allocation), sep="\n", flush=True)

    def outcome(self, allocation: Allocation) -> Iterator[str]:
        """Which questions are answered, and what those that are not would cost."""
        yield from spoken_outcome(allocation.prospects, self.costs(), self.unit)
        may_be = any(prospect.outcome == "undecided" or prospect.pairs for prospect in allocation.prospects)
        if may_be or self._unsettled():  # the budget may have ended before there was a result
            words = without(self._argv, {"--max-seeds": 1, "--budget-hours": 1, "--redo": 1, "--preempt": 0})
            seeds = seeds_to_go_on(allocation.prospects, self._most_seeds)
            more = [f"--max-seeds {seeds}"] * (seeds != MOST_SEEDS)
            yield " ".join(["it goes on with: python run_sweep.py", shlex.join(words), *more])

    def foreseen(self, allocation: Allocation) -> Iterator[str]:
        """What it is expected to take until all is answered, and what of it --budget-hours buys."""
        yield from spoken_plan(allocation.prospects, self.costs(), self.unit)
        if (budget := self._budget.left(self._resources.slots)) < math.inf:
            yield from spoken_purchase(allocation.prospects, self.costs(), budget, "--budget-hours")

    def next_plan(self) -> tuple[list[PlannedRun], Allocation]:
        """The runs that this command would do first: those that were begun, else those of the next round.

        Also returns what is to be expected.
        """
        unsettled, allocation = self._unsettled(), self.look()
        return self._make(unsettled or [(one.experiment, one.seed) for one in allocation.chosen]), allocation

    def look(self) -> Allocation:
        """What is to run next, by the results that there are."""
        return self._next_seeds(self._situation())

    def costs(self) -> Mapping[str, Cost]:
        """What a run of each experiment costs."""
        return self._costs_of(self._firsts)

    @property
    def unit(self) -> str:
        """What a slot is."""
        return "GPU" if self._resources.gpus else "CPU"

    def known_runs(self) -> list[PlannedRun]:
        """All runs of this plan that have a record, whatever their seeds."""
        return self._make(self._in_order(set().union(*self._by_status().values())))

    def forget(self) -> None:
        """Let the rounds so far count no longer."""
        forget_rounds(self._ledger.store, self.plan)

    def _with(self, runs: Sequence[Run]) -> list[PlannedRun]:
        """The plan in which these runs are to do, and all finished ones stand before them."""
        self._tried |= {*runs}
        return self._make([*self._in_order(self._by_status()[FINISHED] - {*runs}), *runs])

    def _situation(self) -> Situation:
        by_status = self._by_status()
        others = {seed for _, seed in {*by_status[FINISHED], *self._begun()}} - {*self._seeds}
        seeds = [*self._seeds, *sorted(others)]
        costs = self.costs()
        return Situation(
            location=self._ledger.location,
            dataset=self._firsts[0].dataset,
            questions=self._spec.questions,
            candidates=[
                Candidate(
                    name=run.experiment.name,
                    config=dataclasses.asdict(run.config),
                    cost=costs[run.experiment.name],
                    runs={s: one.name for s, one in zip(seeds, self._make_seeds(run, seeds), strict=True)},
                )
                for run in self._firsts
            ],
            seeds=seeds,
            done=frozenset(by_status[FINISHED]),
            lost=frozenset(by_status[DIVERGED] | (by_status[FAILED] & self._tried)),
            most_seeds=self._most_seeds,
            slots=self._resources.slots,
            budget=self._budget.left(self._resources.slots),
        )

    def _make_seeds(self, run: PlannedRun, seeds: Sequence[int]) -> list[PlannedRun]:
        return self._make([(run.experiment.name, seed) for seed in seeds])

    def _make(self, runs: Sequence[Run]) -> list[PlannedRun]:
        """The planned runs, of which each is made once."""
        missing: dict[str, list[int]] = {}
        for name, seed in runs:
            if (name, seed) not in self._made:
                missing.setdefault(name, []).append(seed)
        for name, seeds in missing.items():
            for run in self._spec.make([self._experiments[name]], seeds, self._ledger, self._resources):
                self._made[name, run.config.seed] = run
        return [self._made[run] for run in runs]

    def _by_status(self) -> dict[str, set[Run]]:
        """How this plan's runs have ended, by their records or those of equal runs of other experiments."""
        of_key: dict[str, list[Run]] = {}
        for run in self._make([(name, seed) for name in self._experiments for seed in self._seeds]):
            of_key.setdefault(run.key, []).append((run.experiment.name, run.config.seed))
        found: dict[str, set[Run]] = {FINISHED: set(), DIVERGED: set(), FAILED: set()}
        for record in self._ledger.records():
            name, seed, key = record["experiment"], record["seed"], record["key"]
            if key not in of_key and name in self._experiments and isinstance(seed, int):
                (run,) = self._make([(name, seed)])
                if run.key == key:
                    of_key[key] = [(name, seed)]
            found[record["status"]] |= {*of_key.get(key, ())}
        return {status: runs if status == FINISHED else runs - found[FINISHED] for status, runs in found.items()}

    def _begun(self) -> list[Run]:
        """The runs of the rounds so far, whether they have ended or not."""
        chosen = [one for round_ in rounds_of(self._ledger.store, self.plan) for one in round_]
        return list(dict.fromkeys((one.experiment, one.seed) for one in chosen))

    def _unsettled(self) -> list[Run]:
        """Those of them that have neither finished nor diverged."""
        by_status = self._by_status()
        return [run for run in self._begun() if run not in by_status[FINISHED] | by_status[DIVERGED]]

    def _was_cut_short(self) -> bool:
        """Whether a run that this command has tried left no record, as the budget ended or its group was given up."""
        return bool(self._tried - set().union(*self._by_status().values()))

    def _in_order(self, runs: Iterable[Run]) -> list[Run]:
        place = {name: i for i, name in enumerate(self._experiments)}
        return sorted(runs, key=lambda run: (place[run[0]], run[1]))


def seeds_to_take(experiments: Sequence[Experiment], given: Sequence[int] | None, most: int) -> tuple[int, ...]:
    """The seeds of all experiments in the order in which they are taken: those given or, without any, the experiments'
    own and then the next ones, up to `most`. Pairs need the same seeds."""
    if given is not None:
        return tuple(given[:most])
    own = dict.fromkeys(seed for experiment in experiments for seed in experiment.seeds)
    return tuple(itertools.islice(itertools.chain(own, itertools.count(max(own, default=-1) + 1)), most))


def identity(runs: Sequence[PlannedRun], options: Options) -> str:
    """16 hexadecimal digits that tell a plan from others: its experiments with all that their results depend on, and
    the seeds that the command gives."""
    keys = {run.experiment.name: run.key_of(dataclasses.replace(run.config, seed=0)) for run in runs}
    content = json.dumps({"runs": keys, "seeds": options.seeds}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _require_question(spec: SweepSpec, runs: Sequence[PlannedRun]) -> None:
    """Raises PlanError where no question compares what is run."""

    configs = {run.experiment.name: dataclasses.asdict(run.config) for run in runs}

    def is_there(arm: Arm) -> bool:
        return any(is_of_arm(arm, name, config) for name, config in configs.items())

    for question in spec.questions:
        of_data = question.dataset in (None, runs[0].dataset)
        if of_data and any(map(is_there, question.arms)) and (not question.baseline or is_there(question.baseline)):
            return
    raise PlanError(f"--until-answered: no question of {spec.family.name} compares what is run here")
