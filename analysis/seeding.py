"""Tells a sweep that goes on until its questions are answered what to run next, from the results so far."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from analysis.comparison.runs import arms_of, label_of
from analysis.reading.results import Results
from analysis.verdicts.allocation import Standing, allocate
from analysis.verdicts.answers import verdicts
from analysis.verdicts.outlook import Decides, Sample
from analysis.verdicts.verdict import OPEN, REFUSED, UNDECIDED, Verdict
from raysweep.experiment import Allocation, Arm, Question, Situation, is_of_arm
from raysweep.ledger import WrittenQuestion


def next_seeds(situation: Situation) -> Allocation:
    """What to run next, and what is to be expected of each answer. The answers are those of the situation's runs."""
    names = {name for candidate in situation.candidates for name in candidate.runs.values()}
    results = Results.read(situation.location, list(names))
    found = _verdicts(results, situation)
    counted = situation
    if results.excluded is not None:  # they are done, and are not done again, but say nothing
        out = {*zip(results.excluded["experiment"], results.excluded["seed"], strict=True)}
        counted = replace(situation, done=frozenset(situation.done - out))
    return allocate(list(_standings(counted, found)), situation)


def _verdicts(results: Results, situation: Situation) -> dict[tuple[str, str, str], Verdict]:
    """The verdicts by question, metric and arm; of several settings, that of the one with most pairs."""
    asked = {question.name for question in situation.questions}
    others = [written for written in results.questions if written.question.name not in asked]
    questions = [*(WrittenQuestion(question=question) for question in situation.questions), *others]
    found: dict[tuple[str, str, str], Verdict] = {}
    beside = results.beside and replace(results.beside, questions=questions)
    for verdict in verdicts(replace(results, questions=questions, beside=beside)):
        key = verdict.question, verdict.metric, verdict.arm
        if key not in found or verdict.n > found[key].n:
            found[key] = verdict
    return found


def _standings(situation: Situation, found: Mapping[tuple[str, str, str], Verdict]) -> Iterator[Standing]:
    """How far each answer is for which all arms can be run, in the order of the questions."""
    for question in situation.questions:
        if question.kind in ("search", "pooled") or question.dataset not in (None, situation.dataset):
            continue  # searches choose their own runs, and more seeds tell little of how much cells differ
        parts = list(_parts(question))
        for label, arms in parts:
            needs = _experiments(arms, situation)
            if not needs:
                continue
            for metric in question.metrics:
                several = [metric] * (len(question.metrics) > 1) + [label] * (len(parts) > 1)
                verdict = found.get((question.name, metric, label))
                standing = _standing(question, verdict, needs, situation)
                yield replace(standing, question=" ".join([question.name, *several]))


def _parts(question: Question) -> Iterator[tuple[str, Sequence[Arm]]]:
    """The label of each contrast of a question, as its verdicts have it, and the arms that it takes."""
    if question.kind == "trend":
        yield ", ".join(map(label_of, question.arms)), arms_of(question)
    elif question.kind == "interaction":
        yield label_of(question.arms[-1]), arms_of(question)
    else:
        base = [question.baseline] if question.baseline and question.kind != "target" else []
        yield from ((label_of(arm), [*base, arm]) for arm in question.arms)


def _experiments(arms: Sequence[Arm], situation: Situation) -> tuple[str, ...]:
    """The experiments of all arms, in the order of the plan; none where one of the arms cannot be run."""
    of_arms = [{c.name for c in situation.candidates if is_of_arm(arm, c.name, c.config)} for arm in arms]
    if not all(of_arms):
        return ()
    return tuple(c.name for c in situation.candidates if any(c.name in names for names in of_arms))


def _standing(question: Question, verdict: Verdict | None, needs: tuple[str, ...], situation: Situation) -> Standing:
    """How far an answer is."""
    if verdict is None:
        return Standing(question="", answer=OPEN, needs=needs)
    return Standing(
        question="",
        answer=verdict.answer,
        needs=needs,
        n=verdict.n,
        answered=verdict.answer not in (UNDECIDED, OPEN, REFUSED),
        hopeless=_hopeless(verdict, needs, situation),
        sample=_sample(question, verdict),
        further=verdict.needed.seeds if verdict.needed else None,
    )


def _hopeless(verdict: Verdict, needs: tuple[str, ...], situation: Situation) -> str:
    """Why no more seeds would help: it is refused, or runs with a common seed give no value."""
    if verdict.answer == REFUSED:
        return f"refused: {verdict.reason}"
    whole = any(all((name, seed) in situation.done for name in needs) for seed in situation.seeds)
    return f"open: {verdict.reason}" if verdict.answer == OPEN and whole else ""


def _sample(question: Question, verdict: Verdict) -> Sample | None:
    """The pairs so far, on the scale on which they are tested; None below two."""
    if verdict.n < 2 or verdict.estimate is None or verdict.std is None:
        return None
    decides: Decides = "difference"
    mean, margin = verdict.estimate, verdict.matters
    if verdict.relative:
        mean, margin = math.log1p(mean), math.log1p(margin)
    if question.kind == "target":
        decides, mean = "side", mean - (question.target or 0.0)
    elif question.kind == "equivalence":
        decides = "equivalence"
    return Sample(n=verdict.n, mean=mean, deviation=verdict.std, margin=margin, level=verdict.level, decides=decides)
