"""Verdicts in words, the same in the terminal, the report and notebooks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from analysis.numbers import with_unit
from analysis.statistics import ALPHA, Interval
from analysis.verdicts.beside import n_of, pooled_remarks, sensitivity_remark
from analysis.verdicts.images import over_images_said, without_images
from analysis.verdicts.power import MOST_SEEDS
from analysis.verdicts.scale import bounds, signed, size, spoken_p
from analysis.verdicts.verdict import EQUIVALENT, OPEN, REFUSED, SIZE_OPEN, UNDECIDED, Verdict

ANY_LOOK = (
    "Answers and their 95 % intervals hold however often, and whenever, somebody looks and adds seeds. An answer may "
    'be withdrawn when its family of questions grows. What is marked "fixed n" counts one look at this number of seeds.'
)
SIGN_FLIP = "Of n pairs the sign-flip test gives no p below 2^(1 - n): 0.25 for 3, 0.0625 for 5, 0.031 for 6."


MORE_CELLS = "more cells would be needed: seeds tell little more of how much the cells differ"

MOST_ARMS = 8
"""A line names at most so many arms, and questions."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question in one setting with its verdicts."""

    text: str
    setting: str
    verdicts: Sequence[Verdict]

    @property
    def is_out_of_reach(self) -> bool:
        """Whether none of the answers can be given, as too few of the arms were run or planned."""
        return all(v.out_of_reach for v in self.verdicts)


def by_question(verdicts: Sequence[Verdict]) -> Iterator[Answered]:
    """The verdicts of each question in each setting, in their order."""
    for (_, setting), group in groupby(verdicts, key=lambda v: (v.question, v.setting)):
        members = list(group)
        yield Answered(members[0].text, setting, members)


def out_of_reach(answered: Sequence[Answered]) -> str:
    """A line for the questions that nothing but runs of other arms could answer; "" if there are none."""
    if not answered:
        return ""
    arms = list(dict.fromkeys(arm for one in answered for v in one.verdicts for arm in v.out_of_reach))
    needed = f"{', '.join(arms[:MOST_ARMS])}{', ...' * (len(arms) > MOST_ARMS)}"
    names = list(dict.fromkeys(one.verdicts[0].question for one in answered))
    what = "question needs" if len(names) == 1 else "questions need"
    named = f"{', '.join(names[:MOST_ARMS])}{', ...' * (len(names) > MOST_ARMS)}"
    return f"open: {len(names)} {what} results of {needed} ({named})"


def headline(v: Verdict) -> str:
    """`finetune_gain: yes, +1.23 [+0.45, +2.01]`; with the arm where that says more."""
    what = f"{v.metric}: {answer(v)}"
    return f"{what}, {estimate(v)}" if v.estimate is not None else what


def answer(v: Verdict) -> str:
    """`yes, size open`, `equivalent (within 0.5)`, `undecided (n = 1)`, `open: no result of E`."""
    if v.answer in (OPEN, REFUSED):
        return f"{v.answer}: {v.reason}"
    if v.answer == EQUIVALENT:
        return f"equivalent (within {size(v, v.matters)})"
    if v.size:
        return f"{v.answer}, {v.size}" if v.size == SIZE_OPEN else f"{v.answer}, {v.size} ({size(v, v.matters)})"
    return f"{v.answer} ({v.reason})" if v.reason else v.answer


def estimate(v: Verdict) -> str:
    """`+1.23 [+0.45, +2.01]`."""
    if v.estimate is None:
        return ""
    shown = with_unit(f"{signed(v, v.estimate)}{_spoken_interval(v, v.interval)}", v.unit)
    return f"{shown} per doubling" if v.kind == "trend" else shown


def basis(v: Verdict) -> str:
    """The means and the tests behind an answer."""
    parts = [f"{label} {mean:.2f}" for label, mean in reversed(list((v.means or {}).items()))]
    if v.relative and v.n > 1:
        parts[-1] += " (geometric means)"
    if v.equal:
        parts.append(v.equal)
    if v.n > 1:
        parts.append(n_of(v))
    if v.p is not None:
        corrected = f" ({spoken_p(v.p_corrected)} after Holm over {v.tests})" if v.tests > 1 else ""
        parts.append(f"p {spoken_p(v.p)} at any look{corrected}")
        parts += ["so few seeds have no interval yet that holds at any look"] * (v.interval is None)
    if v.p_equivalent is not None and v.kind != "equivalence" and v.p_equivalent <= ALPHA:
        parts.append(f"of equivalence p {spoken_p(v.p_equivalent)}{' after Holm' if v.tests > 1 else ''}")
    if v.test:
        parts.append(f"fixed n: {v.test} p {spoken_p(v.p_fixed)}{_spoken_interval(v, v.interval_fixed)}")
        parts += filter(None, [over_images_said(v)])
    if v.p_sign_flip is not None and not v.test.startswith("sign-flip"):
        parts.append(f"sign-flip p {spoken_p(v.p_sign_flip)}")
    return ", ".join(parts)


def footnotes(verdicts: Sequence[Verdict]) -> list[str]:
    """What holds for all answers, said once below them."""
    tested = any(v.p is not None for v in verdicts)
    flipped = any(v.p_sign_flip is not None for v in verdicts)
    return [*([ANY_LOOK] * tested), *([SIGN_FLIP] * flipped), *filter(None, [without_images(verdicts)])]


def remarks(v: Verdict) -> Iterator[str]:
    """What a reader has to know besides: lost runs, differences beyond the factor, the run that would tell."""
    if v.lost:
        yield f"without result: {'; '.join(v.lost)}"
    yield from pooled_remarks(v)
    yield from filter(None, [sensitivity_remark(v)])
    yield from v.flags
    if v.last_epochs:
        yield f"over the last five epochs instead of the best one: {headline(v.last_epochs)}"
    yield from v.noted
    if v.left_out:
        yield f"left out: {', '.join(v.left_out)}"
    if v.with_left_out:
        yield f"with them: {', '.join(filter(None, [answer(v.with_left_out), estimate(v.with_left_out)]))}"
    if v.looks:
        yield v.looks
    if v.isolated_by:
        yield f"would tell them apart: {v.isolated_by}"


def what_would_settle(v: Verdict) -> str:
    """How many more seeds would settle an undecided question, and what they cost."""
    if v.needed is None and v.kind == "pooled":
        return MORE_CELLS if v.answer == UNDECIDED else ""
    if v.needed is None:
        return f"more than {MOST_SEEDS:,} seeds would be needed" if v.answer == UNDECIDED and v.n > 1 else ""
    needed = v.needed
    power = f" with {min(0.99, round(needed.power, 1)):.0%} power" if needed.power is not None else ""
    cost = f", {_hours(needed.hours)} of training" if needed.hours is not None else ""
    fewest = needed.seeds_for_smallest
    smallest = f"; {_about(fewest)} for the smallest that matters, {size(v, v.matters)}" if fewest else ""
    seeds = f"{_about(needed.seeds)} more seed{'s' * (needed.seeds != 1)}"
    return f"{seeds} would show {needed.effect}{power}{cost}{smallest}"


def _about(seeds: int) -> str:
    """A number of seeds to one digit, since advice from the spread of few values is no better."""
    return str(seeds) if seeds < 10 else f"about {float(f'{seeds:.1g}'):,.0f}"


def _spoken_interval(v: Verdict, interval: Interval | None) -> str:
    return f" {bounds(v, interval)}" if interval else ""


def _hours(hours: float) -> str:
    """A cost to one digit, as the seeds are."""
    number, unit = (60 * hours, "min") if hours < 1 else (hours, "h")
    return f"{float(f'{number:.1g}'):g} {unit}"
