"""What a sweep that goes on until its questions are answered says of its rounds, of the answers, and of their cost."""

import math
from collections.abc import Iterator, Mapping, Sequence

from raysweep.experiment import Chosen, Cost, Prospect
from raysweep.messages import enumerated

NAMED = 6
"""A line names at most this many runs, experiments or questions."""
LINES = 40
"""So many answers that are not given yet have a line each."""

Range = tuple[float, float, float]
"""(low, expected, high)"""


def spoken_round(number: int, chosen: Sequence[Chosen]) -> Iterator[str]:
    """What a round runs, and why."""
    yield f"round {number}: {_counted(len(chosen), 'run')}"
    by_why: dict[str, list[str]] = {}
    for one in chosen:
        by_why.setdefault(one.why, []).append(f"{one.experiment} seed {one.seed}")
    for why, names in list(by_why.items())[:NAMED]:
        yield f"  {why}: {enumerated(names, NAMED)}"
    if len(by_why) > NAMED:
        yield f"  and those of {len(by_why) - NAMED} more pairs"


def not_compared(prospects: Sequence[Prospect], experiments: Sequence[str]) -> Iterator[str]:
    """A line about the experiments that no question compares, which are not run."""
    compared = {name for prospect in prospects for name in prospect.experiments}
    if left_out := [name for name in experiments if name not in compared]:
        them = "it" if len(left_out) == 1 else "them"
        yield f"left out, as no question compares {them}: {enumerated(left_out, NAMED)}"


def spoken_outcome(prospects: Sequence[Prospect], costs: Mapping[str, Cost], unit: str) -> Iterator[str]:
    """Which questions are answered, which cannot be, and what the rest would cost; `unit` is what a slot is."""
    answered = [prospect for prospect in prospects if prospect.outcome == "answered"]
    said = enumerated([f"{prospect.question} ({prospect.answer}, n = {prospect.n})" for prospect in answered], NAMED)
    yield f"answered: {len(answered)} of {_counted(len(prospects), 'question')}{': ' * bool(said)}{said}"
    left = [prospect for prospect in prospects if prospect.outcome != "answered"]
    for prospect in left[:LINES]:
        so_far = f"{prospect.answer}, n = {prospect.n}{f', {prospect.why}' if prospect.why else ''}"
        yield f"{prospect.outcome}: {prospect.question} ({so_far}){_cost(prospect, unit)}"
    if len(left) > LINES:
        yield f"and {len(left) - LINES} more that are not answered"
    if len(left) > 1 and (hours := _hours(_total(left, costs), unit)):
        yield f"all of these together: {hours}"


def spoken_plan(prospects: Sequence[Prospect], costs: Mapping[str, Cost], unit: str) -> Iterator[str]:
    """What each question is expected to take until it is answered."""
    yield "until answered (shown are the runs of the first round; which others follow depends on results):"
    for line in spoken_outcome(prospects, costs, unit):
        yield f"  {line}"


def spoken_purchase(
    prospects: Sequence[Prospect], costs: Mapping[str, Cost], budget: float, spoken: str
) -> Iterator[str]:
    """Which answers so many slots times seconds are expected to buy, the cheapest first."""
    priced = [(_total([prospect], costs), prospect) for prospect in prospects if prospect.outcome == "undecided"]
    known = [(cost, prospect) for cost, prospect in priced if cost and math.isfinite(cost[1])]
    bought: list[Prospect] = []
    for _, prospect in sorted(known, key=lambda one: one[0][1]):
        cost = _total([*bought, prospect], costs)
        if cost and cost[1] <= budget:
            bought.append(prospect)
    names = enumerated([prospect.question for prospect in bought], NAMED)
    yield f"{spoken} is expected to buy {_counted(len(bought), 'more answer')}{f': {names}' * bool(names)}"
    if left := [prospect.question for _, prospect in known if prospect not in bought]:
        yield f"  not: {enumerated(left, NAMED)}"
    unknown = [prospect.question for cost, prospect in priced if not cost or not math.isfinite(cost[1])]
    if unknown:
        yield f"  not known: {enumerated(unknown, NAMED)}"


def seeds_to_go_on(prospects: Sequence[Prospect], most_seeds: int) -> int:
    """With how many seeds the questions that are not answered yet are expected to be; `most_seeds` where that is not
    known."""
    missing = [p.pairs[1] - p.most_pairs for p in prospects if p.pairs and math.isfinite(p.pairs[1])]
    return most_seeds + math.ceil(max([0.0, *missing]))


def _cost(prospect: Prospect, unit: str) -> str:
    """`: 6 more pairs (2 to 16), 3.2 GPU hours (1 to 9.4)`; "" where it is known that none would help."""
    if prospect.pairs is None:
        if prospect.n >= 2 or not prospect.most_pairs or prospect.outcome == "out of reach":
            return ""
        least = max(1, 2 - prospect.n)
        ends = [(n, _hours(_times((n, n, n), prospect.seconds), unit)) for n in (least, prospect.most_pairs)]
        costs = " and ".join(f"{_counted(n, 'more pair')}, {hours}" for n, hours in ends if hours)
        return f": not known before two pairs tell how much they vary{f'; {costs}' * bool(costs)}"
    low, expected, high = prospect.pairs
    if not math.isfinite(expected):
        return f": more than {_counted(prospect.most_pairs, 'more pair')} expected"
    most = f"{high:g}" if math.isfinite(high) else "many"
    hours = _hours(_times(prospect.pairs, prospect.seconds), unit)
    return f": {_counted(int(expected), 'more pair')} ({low:g} to {most}){f', {hours}' * bool(hours)}"


def _total(prospects: Sequence[Prospect], costs: Mapping[str, Cost]) -> Range | None:
    """Slots times seconds until all of these are answered, where arms that several share are run once.

    None where that is not known.
    """
    pairs: dict[str, Range] = {}
    for prospect in prospects:
        if prospect.pairs is None:
            return None
        for name in prospect.experiments:
            low, expected, high = pairs.get(name, (0.0, 0.0, 0.0))
            more = prospect.pairs
            pairs[name] = max(low, more[0]), max(expected, more[1]), max(high, more[2])
    parts = [_times(more, costs[name].seconds) for name, more in pairs.items()]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return sum(part[0] for part in known), sum(part[1] for part in known), sum(part[2] for part in known)


def _times(pairs: Range, seconds: Range | None) -> Range | None:
    return None if seconds is None else (pairs[0] * seconds[0], pairs[1] * seconds[1], pairs[2] * seconds[2])


def _hours(seconds: Range | None, unit: str) -> str:
    """`3.2 GPU hours (1 to 9.4)`; "" where that is not known."""
    if seconds is None or not math.isfinite(seconds[1]):
        return ""
    low, expected, high = (f"{one / 3600:.2g}" if math.isfinite(one) else "many" for one in seconds)
    return f"{expected} {unit} hours ({low} to {high})"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
