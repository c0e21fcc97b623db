"""The answers of a report: by setting and kind of question, a line each that unfolds; what all share is said once."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.numbers import size_told
from analysis.ordering import natural
from analysis.report.clauses import Clause, clause, shared
from analysis.report.links import anchor
from analysis.report.placing import Placed
from analysis.verdicts.beside import n_of
from analysis.verdicts.verdict import OPEN, Verdict
from analysis.verdicts.wording import (
    Answered,
    answer,
    basis,
    estimate,
    footnotes,
    out_of_reach,
    remarks,
    what_would_settle,
)

MOST_UNFOLDED = 8
"""Answers of a group beyond which the group itself is folded."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Answers to questions of one kind in one setting."""

    setting: str
    text: str
    """The question, with `...` for what differs between the members."""
    members: Sequence[tuple[str, Verdict]]
    """What tells each from the others, and the answer."""

    @property
    def counts(self) -> str:
        """`3 yes, 11 undecided`."""
        return ", ".join(f"{n} {name}" for name, n in Counter(v.answer for _, v in self.members).items())


def groups(answers: Sequence[Placed]) -> list[Group]:
    """The answers to each kind of question in each setting, in the order of the settings."""
    found: dict[tuple[str, str], list[Placed]] = {}
    for p in answers:
        found.setdefault((p.verdict.setting, p.template), []).append(p)
    return [
        Group(setting=setting, text=text, members=[(_told_apart(p, members), p.verdict) for p in _in_order(members)])
        for (setting, text), members in found.items()
    ]


def answers_html(placed: Sequence[Placed], answers: Sequence[Verdict]) -> str:
    """All groups, the questions out of reach in a line, and what holds for all answers."""
    parts: list[str] = []
    setting = ""
    for group in groups(placed):
        if group.setting != setting:
            setting = group.setting
            parts.append(f'<p class="setting">{html.escape(setting)}</p>')
        parts.append(_group(group))
    if absent := [Answered("", v.setting, [v]) for v in answers if v.out_of_reach]:
        parts.append(f'<p class="note">{html.escape(out_of_reach(absent))}</p>')
    if not parts:
        parts.append("<p>No questions were written down with these results.</p>")
    parts += [f'<p class="note">{html.escape(line)}</p>' for line in footnotes(answers)]
    return "".join(parts)


def clauses_of(v: Verdict) -> list[Clause]:
    """What is said of an answer beside its numbers."""
    return [clause(text, v) for text in [*remarks(v), *filter(None, [v.note])]]


def _group(group: Group) -> str:
    """The question, what holds for all its answers, and a line for each of them."""
    said = {anchor(v): clauses_of(v) for _, v in group.members}
    common = shared(list(said.values()))
    above = "".join(f"<li>{html.escape(text)}</li>" for text in common.values())
    head = f'<ul class="shared"><li class="of-all">Of all {len(group.members)}:</li>{above}</ul>' if above else ""
    lines = "".join(_line(told, v, said[anchor(v)], common) for told, v in group.members)
    text = html.escape(group.text)
    if len(group.members) > MOST_UNFOLDED:
        name = f"group-{anchor(group.members[0][1])}"
        return (
            f'<details class="group" id="{name}"><summary><b>{text}</b> <span>{len(group.members)} answers: '
            f"{group.counts}</span></summary>{head}{lines}</details>"
        )
    return f'<section class="group"><h3>{text}</h3>{head}{lines}</section>'


def _line(told: str, v: Verdict, said: Sequence[Clause], common: Mapping[str, str]) -> str:
    """An answer in a line, which unfolds to all that it rests on."""
    below = [basis(v), *(c.text for c in said if c.form not in common), what_would_settle(v)]
    points = "".join(f"<li>{html.escape(text)}</li>" for text in below if text)
    command = f"<pre>{html.escape(v.needed.command)}</pre>" if v.needed and v.needed.command else ""
    runs = f'<p class="runs" data-runs>{html.escape(" ".join(v.runs))}</p>' if v.runs else ""
    numbers = f'<span class="n">{html.escape(n_of(v))}</span>' if v.n > 1 else ""
    label = f'<span class="told">{html.escape(told)}</span>' if told else ""
    return (
        f'<details class="verdict {v.answer}" id="{anchor(v)}"><summary><b class="answer">{html.escape(answer(v))}</b> '
        f"<b>{html.escape(v.metric)}</b> {html.escape(estimate(v))} {numbers} {label}</summary>"
        f"<ul>{points}</ul>{command}{runs}</details>"
    )


def _in_order(members: Sequence[Placed]) -> list[Placed]:
    """Implied questions by label, then by size; others as they were asked."""

    def key(p: Placed) -> tuple[object, ...]:
        return (natural(p.row), p.value is None, p.value or 0.0)

    return sorted(members, key=key) if all(p.is_implied for p in members) else list(members)


def _told_apart(p: Placed, members: Sequence[Placed]) -> str:
    """The architecture, or the arms, and the size where there are several."""
    v = p.verdict
    arms = f"{v.arm} against {v.baseline}" if v.baseline and v.answer != OPEN else v.arm
    size = size_told(p.value) if p.value is not None and len({other.value for other in members}) > 1 else ""
    return ", ".join(filter(None, [p.row if p.is_implied else arms, size]))
