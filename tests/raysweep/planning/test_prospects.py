"""What a sweep says of its rounds, of the answers and of their cost, with sums worked out by hand."""

import math

import pytest

from raysweep.experiment import Chosen, Cost, Prospect
from raysweep.planning.prospects import (
    not_compared,
    seeds_to_go_on,
    spoken_outcome,
    spoken_plan,
    spoken_purchase,
    spoken_round,
)

HOUR = 3600.0
COSTS = {name: Cost(operations=1.0, seconds=(0.5 * HOUR, HOUR, 2 * HOUR)) for name in "ABC"}
PAIR = (HOUR, 2 * HOUR, 4 * HOUR)


def prospect(question="is_A", outcome="undecided", pairs=(2.0, 3.0, 8.0), experiments=("C", "A"), **more):
    return Prospect(
        **{
            "question": question,
            "outcome": outcome,
            "answer": "undecided",
            "n": 4,
            "pairs": pairs,
            "most_pairs": 16,
            "seconds": PAIR,
            "experiments": experiments,
            **more,
        }
    )


def test_the_cost_of_an_answer_is_its_pairs_times_theirs():
    answered = prospect("is_D", outcome="answered", answer="yes", pairs=None)
    said = list(spoken_outcome([answered, prospect()], COSTS, "GPU"))
    assert said == [
        "answered: 1 of 2 questions: is_D (yes, n = 4)",
        "undecided: is_A (undecided, n = 4): 3 more pairs (2 to 8), 6 GPU hours (2 to 32)",
    ]


def test_arms_that_questions_share_are_paid_for_once():
    """Three pairs of C and A, and five of C and B: five runs of C, three of A, five of B are 13 hours."""
    both = [prospect(), prospect("is_B", pairs=(4.0, 5.0, 6.0), experiments=("C", "B"))]
    *_, total = spoken_outcome(both, COSTS, "CPU")
    assert total == "all of these together: 13 CPU hours (5 to 44)"


def test_what_is_not_known_is_said_to_be_so():
    first = prospect(n=0, answer="open", pairs=None, seconds=None)
    (_, said) = spoken_outcome([first], COSTS, "GPU")
    assert said == "undecided: is_A (open, n = 0): not known before two pairs tell how much they vary"
    (_, said) = spoken_outcome([prospect(pairs=(9.0, math.inf, math.inf))], COSTS, "GPU")
    assert said.endswith("more than 16 more pairs expected")
    (_, said) = spoken_outcome([prospect(pairs=(1.0, 7.0, math.inf))], COSTS, "GPU")
    assert said.endswith("7 more pairs (1 to many), 14 GPU hours (1 to many)")
    (_, said) = spoken_outcome([prospect(outcome="out of reach", why="refused: other data", pairs=None)], COSTS, "GPU")
    assert said == "out of reach: is_A (undecided, n = 4, refused: other data)"


@pytest.mark.parametrize(
    ("hours", "bought", "left"),
    [
        (5, "0 more answers", "is_B, is_A"),
        (6, "1 more answer: is_A", "is_B"),
        (13, "2 more answers: is_A, is_B", None),
    ],
)
def test_a_budget_buys_the_cheapest_answers_first(hours, bought, left):
    asked = [prospect("is_B", pairs=(4.0, 5.0, 6.0), experiments=("C", "B")), prospect()]
    said = list(spoken_purchase(asked, COSTS, hours * HOUR, "--budget-hours"))
    assert said[0] == f"--budget-hours is expected to buy {bought}"
    assert said[1:] == ([f"  not: {left}"] if left else [])


def test_answers_of_unknown_cost_are_named_beside_those_that_a_budget_buys():
    said = list(spoken_purchase([prospect(pairs=None), prospect("is_B")], COSTS, 100 * HOUR, "--budget-hours"))
    assert said == ["--budget-hours is expected to buy 1 more answer: is_B", "  not known: is_A"]


def test_the_command_that_goes_on_has_as_many_seeds_as_are_expected_to_do():
    assert seeds_to_go_on([prospect(pairs=(9.0, 20.0, 40.0), most_pairs=2)], 20) == 38
    assert seeds_to_go_on([prospect(), prospect(pairs=None)], 20) == 20


def test_rounds_name_their_runs_by_reason():
    chosen = [Chosen(experiment=name, seed=3, why="is_A: pair 4") for name in "CA"]
    assert list(spoken_round(7, chosen)) == ["round 7: 2 runs", "  is_A: pair 4: C seed 3, A seed 3"]


def test_experiments_that_no_question_compares_are_named():
    assert list(not_compared([prospect()], ["A", "B", "C", "D"])) == ["left out, as no question compares them: B, D"]
    assert list(not_compared([prospect()], ["A", "C"])) == []


def test_a_plan_of_many_questions_stays_readable():
    said = list(spoken_plan([prospect(f"q{i}") for i in range(100)], COSTS, "GPU"))
    assert len(said) == 44
    assert said[-2] == "  and 60 more that are not answered"
