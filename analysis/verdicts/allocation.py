"""Chooses which arms get the next seeds: those whose question gains most for what it costs.

First every arm gets one seed, then each question a second pair, by priority. After that a pair goes to the question
whose interval it brings furthest on the way to an answer, for the operations of the runs that the pair still needs; an
arm that several questions share is paid for once. A round takes as many runs as the machine can do at once. Given the
same results, costs and seeds, the choice is the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.verdicts.outlook import Sample, chance_within, decided_after, half_width, quantiles_of, way_gone
from raysweep.experiment import Allocation, Candidate, Chosen, Prospect, Situation

FIRST_LOOK = 3
"""Pairs with which a spread can be seen: a question may get as many in one round."""
FUTILE = 0.05
"""From FIRST_LOOK pairs on, an answer is out of reach where what is left decides it with less than this probability."""
FORESEEN = 500
"""Of an answer that is out of reach it is foreseen for so many pairs whether they would do."""
TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How far one answer is."""

    question: str
    answer: str
    """The verdict so far."""
    needs: tuple[str, ...]
    """The experiments of which each pair has a run, in the order of the plan."""
    n: int = 0
    answered: bool = False
    hopeless: str = ""
    """Why no seeds would help; "" where they may."""
    sample: Sample | None = None
    """None below two pairs."""
    further: int | None = None
    """How many more pairs the verdict itself says it needs, where that is known."""


def allocate(standings: Sequence[Standing], situation: Situation) -> Allocation:
    """What to run next, nothing where all is answered or out of reach, and what is to be expected of each answer."""
    round_ = _Round(situation)
    prospects = [_prospect(standing, round_) for standing in standings]
    open_ = [s for s, prospect in zip(standings, prospects, strict=True) if prospect.outcome == "undecided"]
    for standing in sorted(open_, key=round_.last_of):
        while round_.lacks_a_run(standing) and (pairs := round_.open_pairs(standing)):
            round_.take(standing, *pairs[0][1:], _why(standing, round_.pairs_of(standing)))
    while not round_.is_full and (best := _best(open_, round_)) is not None:
        round_.take(*best)
    return Allocation(chosen=tuple(round_.in_order()), prospects=tuple(prospects))


class _Round:
    """The runs chosen so far, and those that could be."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.candidates = {candidate.name: candidate for candidate in situation.candidates}
        self.place = {name: i for i, name in enumerate(self.candidates)}
        self._taken: dict[tuple[str, int], str] = {}
        self._begun = dict.fromkeys(self.candidates, 0)
        for name, _ in {*situation.done, *situation.lost}:
            self._begun[name] = self._begun.get(name, 0) + 1
        self._slots = 0.0

    @property
    def is_full(self) -> bool:
        """Whether the machine has no room for one more run beside those chosen."""
        return self._slots >= self.situation.slots - TOLERANCE

    def is_there(self, name: str, seed: int) -> bool:
        """Whether a run is done, or chosen."""
        return (name, seed) in self.situation.done or (name, seed) in self._taken

    def lacks_a_run(self, standing: Standing) -> bool:
        """Whether one of the arms has no run at all."""
        return any(not any(self.is_there(name, seed) for seed in self.situation.seeds) for name in standing.needs)

    def pairs_of(self, standing: Standing) -> int:
        """How many pairs there will be once the chosen runs are done."""
        added = sum(
            all(self.is_there(name, seed) for name in standing.needs)
            and not all((name, seed) in self.situation.done for name in standing.needs)
            for seed in self.situation.seeds
        )
        return standing.n + added

    def last_of(self, standing: Standing) -> int:
        """The place in the plan of the last of its experiments."""
        return max(self.place[name] for name in standing.needs)

    def open_pairs(self, standing: Standing) -> list[tuple[float, int, list[str]]]:
        """The pairs that could be made, as (operations, seed, experiments to run): the cheapest first."""
        found = []
        for i, seed in enumerate(self.situation.seeds):
            missing = [name for name in standing.needs if not self.is_there(name, seed)]
            lost = any((name, seed) in self.situation.lost for name in missing)
            if missing and not lost and all(self._begun[name] < self.situation.most_seeds for name in missing):
                found.append((sum(self.candidates[name].cost.operations for name in missing), i, missing))
        return [(cost, self.situation.seeds[i], missing) for cost, i, missing in sorted(found)]

    def most_pairs(self, standing: Standing) -> int:
        """How many more pairs there can be."""
        begun, count = dict(self._begun), 0
        for _, _, missing in self.open_pairs(standing):
            if all(begun[name] < self.situation.most_seeds for name in missing):
                begun |= {name: begun[name] + 1 for name in missing}
                count += 1
        return count

    def take(self, standing: Standing, seed: int, missing: Sequence[str], why: str) -> None:
        """Choose the missing runs of a pair."""
        for name in missing:
            self._taken[name, seed] = f"{standing.question}: {why}"
            self._begun[name] += 1
            self._slots += self.candidates[name].cost.slots

    def in_order(self) -> list[Chosen]:
        """The chosen runs: first ones of their experiment before second ones, then in the order of the plan."""
        seeds = {seed: i for i, seed in enumerate(self.situation.seeds)}
        has_run = {name for name, _ in self.situation.done}
        firsts: dict[str, int] = {}
        for name, seed in sorted(self._taken, key=lambda run: seeds[run[1]]):
            firsts.setdefault(name, seed)

        def order(run: tuple[str, int]) -> tuple[bool, int, int]:
            name, seed = run
            return name in has_run or firsts[name] != seed, self.place[name], seeds[seed]

        return [Chosen(experiment=n, seed=s, why=self._taken[n, s]) for n, s in sorted(self._taken, key=order)]


def _best(standings: Sequence[Standing], round_: _Round) -> tuple[Standing, int, list[str], str] | None:
    """The pair that gains most for its cost: whose it is, its seed, the experiments to run, and why; None if there is
    none."""
    found = []
    for i, standing in enumerate(standings):
        n = round_.pairs_of(standing)
        if n < max(FIRST_LOOK, 2 * standing.n) and (pairs := round_.open_pairs(standing)):
            operations, seed, missing = pairs[0]
            gain = math.inf if n < 2 else _way_gone(standing, n) / operations
            found.append(((-gain, round_.last_of(standing), i), standing, seed, missing, n))
    if not found:
        return None
    _, standing, seed, missing, n = min(found, key=lambda one: one[0])
    return standing, seed, missing, _why(standing, n)


def _way_gone(standing: Standing, n: int) -> float:
    """By which part of the way to its answer a question gets on with one more pair than `n`."""
    if standing.sample is None:  # there was one pair, and others are chosen
        return 1 / n
    if _wants_more_than_pairs(standing):
        return 1 / max(1, standing.further or n)
    return way_gone(standing.sample, n)


def _why(standing: Standing, n: int) -> str:
    if n < 2 or standing.sample is None:
        return f"pair {n + 1}"
    now, then = (half_width(standing.sample, k) for k in (n, n + 1))
    return f"pair {n + 1}, +-{now:.3g} -> +-{then:.3g} of +-{standing.sample.enough:.3g}"


def _prospect(standing: Standing, round_: _Round) -> Prospect:
    """What is to be expected of an answer before anything is chosen."""
    most, seconds = round_.most_pairs(standing), _seconds(standing, round_.candidates)
    affordable = round_.situation.budget / seconds[0] if seconds and seconds[0] > 0 else math.inf
    after = decided_after(standing.sample, most) if standing.sample and not standing.answered else None
    why = "" if standing.answered else _out_of_reach(standing, most, affordable, after, round_.situation)
    if standing.sample and after and why and not standing.hopeless:  # what the rest would cost
        after = decided_after(standing.sample, max(most, FORESEEN))
    return Prospect(
        question=standing.question,
        outcome="answered" if standing.answered else "out of reach" if why else "undecided",
        answer=standing.answer,
        n=standing.n,
        why=why,
        pairs=_pairs(standing, after),
        most_pairs=most,
        seconds=seconds,
        experiments=standing.needs,
    )


def _out_of_reach(
    standing: Standing, most: int, affordable: float, after: tuple[float, ...] | None, situation: Situation
) -> str:
    """Why an answer cannot be given within what is left; "" where it may."""
    needed = max(1, 2 - standing.n)
    if standing.hopeless:
        return standing.hopeless
    if most < needed:
        left = "one seed, which shows no variance," if most else "no seed"
        return f"{left} is left of {situation.most_seeds}"
    if affordable < needed:
        return f"{needed} more pair{'s' * (needed > 1)} cost{'s' * (needed == 1)} more than what is left of the budget"
    if after is None or standing.n < FIRST_LOOK:
        return ""
    if chance_within(after, most) < FUTILE:
        return f"less than {FUTILE:.0%} probable with {most} more pair{'s' * (most > 1)}, as many as there can be"
    if chance_within(after, affordable) < FUTILE:
        return f"less than {FUTILE:.0%} probable with what is left of the budget"
    return ""


def _pairs(standing: Standing, after: tuple[float, ...] | None) -> tuple[float, float, float] | None:
    """How many more pairs are expected; where something else is wanting than pairs, as the verdict says."""
    if standing.sample is None or after is None:
        return None
    if _wants_more_than_pairs(standing):
        return (1.0, float(standing.further), math.inf) if standing.further else None
    return quantiles_of(after)


def _wants_more_than_pairs(standing: Standing) -> bool:
    """Whether the interval is narrow enough already, as where times differ and accuracies are not known to be equal."""
    sample = standing.sample
    return sample is not None and half_width(sample, standing.n) <= sample.enough


def _seconds(standing: Standing, candidates: Mapping[str, Candidate]) -> tuple[float, float, float] | None:
    """Slots times seconds of one more pair."""
    known = [candidates[name].cost.seconds for name in standing.needs]
    parts = [one for one in known if one is not None]
    if len(parts) < len(known):
        return None
    low, expected, high = (sum(part[i] for part in parts) for i in range(3))
    return low, expected, high
