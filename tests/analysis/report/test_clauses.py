"""What holds for all answers of a group is said once, with the range of its numbers."""

from analysis.report.clauses import clause, shared
from tests.analysis.sweeps import answered, question, runs_of

LABELS = ("A", "B", "D")


def verdicts():
    rows = [row for name in ("C", *LABELS) for row in runs_of(name, (60.0, 61.0))]
    return answered(rows, question(arms=LABELS))


def said(texts):
    return [[clause(text, v)] for text, v in zip(texts, verdicts(), strict=True)]


def test_the_arms_own_names_and_numbers_do_not_tell_clauses_apart():
    texts = ["worth C +0.05, A +0.19 over 5", "worth C +0.02, B -0.30 over 5", "worth C +0.05, D +0.20 over 5"]
    (told,) = shared(said(texts)).values()
    assert told == "worth the baseline +0.02 to +0.05, the arm -0.30 to +0.20 over 5"


def test_a_clause_that_one_answer_lacks_stays_with_the_others():
    assert shared(said(["post hoc", "post hoc", "stopped early"])) == {}


def test_two_answers_share_nothing():
    assert shared(said(["post hoc"] * 3)[:2]) == {}


def test_names_that_hold_digits_are_no_numbers():
    texts = ["see 3b_cmod_L4 and v2.1x"] * 3
    assert list(shared(said(texts)).values()) == ["see 3b_cmod_L4 and v2.1x"]
