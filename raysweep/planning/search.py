"""Chooses the runs of a search round by round, from the results of the rounds before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from raysweep.experiment import Experiment, Search
from raysweep.ledger import FINISHED, Ledger
from raysweep.planning.resources import Resources
from raysweep.planning.runs import PlannedRun, alike
from raysweep.planning.spec import SweepSpec

Results = Mapping[Any, Sequence[float]]
Decide = Callable[[Results, Any], tuple[Any, int] | None]
"""Decides the next step of a search. It gets the metric of all runs by value of the searched field, and the value to
start from. It returns the next value and the number of runs needed there in all, or None if the search has ended."""

NextStep = Callable[[Search, float, Results, float, int], tuple[float, int] | None]
"""Gets a search, its target, the metric by value, the value to start from and the maximal number of runs at one value.
It returns what `Decide` does."""


def search_rounds(
    spec: SweepSpec, starts: Sequence[PlannedRun], ledger: Ledger, resources: Resources, next_step: NextStep
) -> Iterator[list[PlannedRun]]:
    """The rounds of the search that a command line asks for, over the experiments of `starts`."""
    question = spec.question
    assert question is not None
    search, target = question.search, question.target
    assert search is not None
    assert target is not None
    seeds = spec.options.seeds or range(search.looks[-1])

    def decide(results: Results, start: float) -> tuple[float, int] | None:
        return next_step(search, target, results, start, len(seeds))

    def make(experiment: Experiment, its_seeds: Sequence[int]) -> list[PlannedRun]:
        return spec.make([experiment], its_seeds, ledger, resources)

    return rounds(starts, search, question.metrics[0], seeds, ledger, decide, make)


def rounds(
    starts: Sequence[PlannedRun],
    search: Search,
    metric: str,
    seeds: Sequence[int],
    ledger: Ledger,
    decide: Decide,
    make: Callable[[Experiment, Sequence[int]], list[PlannedRun]],
) -> Iterator[list[PlannedRun]]:
    """Yield the plan of each round: all runs known so far, from whichever experiment, and those to train next.

    `starts` holds one run of each experiment, at the value from which its search starts. `make` plans the runs of an
    experiment with given seeds; new runs take the first `seeds` without a run. The search of an experiment
    ends without an answer when a run that it asked for did not finish, or finished without the metric.
    """
    asked: dict[str, list[PlannedRun]] = {}
    going_on = True
    while going_on:
        going_on = False
        records = [one for one in ledger.records() if one["status"] == FINISHED and metric in one["results"]]
        finished = {record["run"] for record in records}
        everything: list[PlannedRun] = []
        for start in starts:
            by_value: dict[Any, dict[int, float]] = {}
            for record in alike(start, (search.over, "seed"), records):
                at_value = by_value.setdefault(record["config"][search.over], {})
                at_value[record["seed"]] = record["results"][metric]
            results = {value: list(at_value.values()) for value, at_value in by_value.items()}
            seeds_at = {value: list(at_value) for value, at_value in by_value.items()}
            lost = any(run.name not in finished for run in asked.get(start.name, ()))
            needed = None if lost else decide(results, getattr(start.config, search.over))
            if needed:
                value, n = needed
                have = seeds_at.setdefault(value, [])
                new = [seed for seed in seeds if seed not in have][: n - len(have)]
                print(f"{start.experiment.name}: {search.over}={value:g}, {len(new)} more to have {n}")
                have += new
                going_on = True
            for at, its_seeds in sorted(seeds_at.items()):
                runs = make(start.experiment.at(search.over, at), its_seeds)
                everything += runs
                if needed and at == needed[0]:
                    asked[start.name] = runs
        yield everything
