"""Verdicts in words, the same in the terminal, the report and notebooks."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from analysis.numbers import with_unit, written
from analysis.statistics import ALPHA
from analysis.verdicts.images import over_images_said
from analysis.verdicts.power import MOST_SEEDS
from analysis.verdicts.verdict import EQUIVALENT, OPEN, REFUSED, UNDECIDED, Verdict

LOOKS = (
    "p-values count one look at the results. Who adds seeds because of what was seen, and tests all of them again, "
    "says yes or no without reason more often: in 8 to 11 % of families after one such look in place of 5 %."
)
"""The figures are by simulation, without any effect, from five seeds on."""


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


class Verdicts(list[Verdict]):
    """Verdicts that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return "".join(html_of(answered) for answered in by_question(self))


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
    """`yes`, `equivalent (within 0.5)`, `undecided (n = 1)`, `open: no result of E`."""
    if v.answer in (OPEN, REFUSED):
        return f"{v.answer}: {v.reason}"
    if v.answer == EQUIVALENT:
        return f"equivalent (within {_size(v, v.matters)})"
    return f"{v.answer} ({v.reason})" if v.reason else v.answer


def estimate(v: Verdict) -> str:
    """`+1.23 [+0.45, +2.01]`."""
    if v.estimate is None:
        return ""
    interval = f" [{signed(v, v.interval[0])}, {signed(v, v.interval[1])}]" if v.interval else ""
    shown = with_unit(f"{signed(v, v.estimate)}{interval}", v.unit)
    return f"{shown} per doubling" if v.kind == "trend" else shown


def basis(v: Verdict) -> str:
    """The means and the tests behind an answer."""
    parts = [f"{label} {mean:.2f}" for label, mean in reversed(list((v.means or {}).items()))]
    if v.relative and v.n > 1:
        parts[-1] += " (geometric means)"
    if v.equal:
        parts.append(v.equal)
    if v.n > 1:
        parts.append(f"n = {v.n}")
    if said := over_images_said(v):
        parts.append(said)
    if v.test:
        corrected = f" ({_p(v.p_corrected)} after Holm over {v.tests})" if v.tests > 1 else ""
        parts.append(f"{v.test} p {_p(v.p)}{corrected}")
    if v.p_equivalent is not None and v.kind != "equivalence" and v.p_equivalent <= ALPHA:
        parts.append(f"two one-sided t-tests p {_p(v.p_equivalent)}{' after Holm' if v.tests > 1 else ''}")
    if v.p_sign_flip is not None and not v.test.startswith("sign-flip"):
        parts.append(f"sign-flip p {_p(v.p_sign_flip)}, at best {_p(v.p_sign_flip_least)} with {v.n} pairs")
    return ", ".join(parts)


def remarks(v: Verdict) -> Iterator[str]:
    """What a reader has to know besides: lost runs, differences beyond the factor, the run that would tell."""
    if v.lost:
        yield f"without result: {'; '.join(v.lost)}"
    yield from v.flags
    if v.isolated_by:
        yield f"would tell them apart: {v.isolated_by}"


def what_would_settle(v: Verdict) -> str:
    """How many more seeds would settle an undecided question, and what they cost."""
    if v.needed is None:
        return f"more than {MOST_SEEDS:,} seeds would be needed" if v.answer == UNDECIDED and v.n > 1 else ""
    needed = v.needed
    seeds = f"{needed.seeds:,} more seed{'s' * (needed.seeds != 1)}"
    power = f" with {needed.power:.0%} power" if needed.power is not None else ""
    cost = f", {_hours(needed.hours)} of training" if needed.hours is not None else ""
    fewest = needed.seeds_for_smallest
    smallest = f"; {fewest:,} for the smallest that matters, {_size(v, v.matters)}" if fewest else ""
    return f"{seeds} would show {needed.effect}{power}{cost}{smallest}"


def html_of(answered: Answered) -> str:
    """A question with its answers, for a page or a notebook."""
    rows = []
    for v in answered.verdicts:
        arms = f"{v.arm} against {v.baseline}" if v.baseline else v.arm
        below = "".join(
            f"<li>{html.escape(text)}</li>" for text in filter(None, [basis(v), *remarks(v), what_would_settle(v)])
        )
        command = f"<pre>{html.escape(v.needed.command)}</pre>" if v.needed and v.needed.command else ""
        runs = ""
        if v.runs:
            runs = f"<details><summary>{len(v.runs)} runs</summary>{html.escape(', '.join(v.runs))}</details>"
        rows.append(
            f'<div class="verdict {v.answer}"><p><b class="answer">{html.escape(answer(v))}</b> '
            f"<b>{html.escape(v.metric)}</b> {html.escape(estimate(v))} <span>{html.escape(arms)}</span></p>"
            f"<ul>{below}</ul>{command}{runs}</div>"
        )
    note = next((v.note for v in answered.verdicts if v.note), "")
    said = f'<p class="note">{html.escape(note)}</p>' if note else ""
    return f"<section><h3>{html.escape(answered.text)}</h3>{said}{''.join(rows)}</section>"


def signed(v: Verdict, value: float) -> str:
    """A number on the scale of the estimate, as it is shown."""
    if v.relative:
        return written(value, "%")
    return f"{value:.2f}" if v.kind == "target" else written(value, "+")


def _size(v: Verdict, value: float) -> str:
    return f"{value:.0%}" if v.relative else with_unit(f"{value:g}", v.unit)


def _p(value: float | None) -> str:
    return written(value, "p") if value is None or value < 0.1 else f"{value:.2f}"


def _hours(hours: float) -> str:
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h"
