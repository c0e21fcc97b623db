"""Which arms get the next seeds, given how far the answers are and what runs cost."""

import math
from dataclasses import replace

import pytest

from analysis.verdicts.allocation import Standing, allocate
from analysis.verdicts.outlook import Sample
from raysweep.experiment import Candidate, Cost, Situation

NEAR = Sample(n=4, mean=0.5, deviation=0.17, margin=0.2, level=0.05)
FAR = replace(NEAR, mean=0.3, deviation=0.43)


def situation(arms="ABC", seeds=range(20), done=(), lost=(), slots=2, most=20, cost=None, **more):
    """A plan of experiments of one letter, whose runs all cost the same unless `cost` says otherwise."""
    cost = cost or {}
    seeds = tuple(seeds)
    return Situation(
        location="nowhere",
        dataset="none",
        questions=(),
        candidates=[
            Candidate(
                name=name,
                config={},
                cost=Cost(operations=cost.get(name, 1.0), seconds=(90.0, 100.0, 120.0)),
                runs={seed: f"{name}-s{seed}" for seed in seeds},
            )
            for name in arms
        ],
        seeds=seeds,
        done=frozenset(done),
        lost=frozenset(lost),
        most_seeds=most,
        slots=slots,
        **more,
    )


def with_seeds(names, n, first=0):
    """The runs of experiments with `n` seeds."""
    return {(name, seed) for name in names for seed in range(first, first + n)}


def standing(needs="CA", sample=None, **more):
    given = {"n": sample.n, "sample": sample} if sample else {}
    said = {"question": f"is_{needs[-1]}", "answer": "undecided", "needs": tuple(needs), **given, **more}
    return Standing(**said)


def runs(allocation):
    return [(one.experiment, one.seed) for one in allocation.chosen]


def test_first_every_arm_gets_one_seed_however_few_slots_there_are():
    asked = [standing("CA"), standing("CB")]
    found = allocate(asked, situation("CAB", slots=1))
    assert runs(found) == [("C", 0), ("A", 0), ("B", 0)], "the baseline once"


def test_slots_that_the_first_seeds_leave_free_get_further_ones_after_them():
    found = allocate([standing("CA")], situation("CA", slots=5))
    assert runs(found) == [("C", 0), ("A", 0), ("C", 1), ("C", 2), ("A", 1), ("A", 2)]
    found = allocate([standing("CA")], situation("CA", slots=64))
    assert len(runs(found)) == 6, "three pairs show how much they vary"


def test_a_question_with_one_pair_goes_before_all_that_have_more():
    done = with_seeds("CA", 4) | with_seeds("B", 1)
    asked = [standing("CA", NEAR), standing("CB", n=1)]
    assert runs(allocate(asked, situation("CAB", done=done, slots=1))) == [("B", 1)]


def test_the_question_that_gets_furthest_on_its_way_for_its_cost_comes_next():
    done = with_seeds("CAB", 4)
    asked = [standing("CA", FAR), standing("CB", NEAR)]
    assert runs(allocate(asked, situation("CAB", done=done))) == [("C", 4), ("B", 4)]
    dear = situation("CAB", done=done, cost={"B": 1000.0})
    assert runs(allocate(asked, dear)) == [("C", 4), ("A", 4)]


def test_an_arm_that_two_questions_share_is_paid_for_once():
    """C is dear; D is not shared. With C chosen for the first question, the second one needs B alone."""
    done = with_seeds("CABDE", 4)
    asked = [standing("CA", NEAR), standing("CB", FAR), standing("DE", replace(FAR, mean=0.31))]
    cost = {"C": 5.0, "D": 1.0}
    found = allocate(asked, situation("CABDE", done=done, slots=3, cost=cost))
    assert set(runs(found)) == {("D", 4), ("E", 4), ("C", 4), ("A", 4)} or ("B", 4) in runs(found)
    both = allocate(asked[:2], situation("CAB", done=done, slots=3, cost=cost))
    assert set(runs(both)) == {("C", 4), ("A", 4), ("B", 4)}


def test_pairs_that_are_half_there_are_completed_first():
    done = with_seeds("CA", 4) | with_seeds("C", 3, first=10)
    assert runs(allocate([standing("CA", NEAR)], situation("CA", done=done, slots=1))) == [("A", 10)]


def test_a_round_at_most_doubles_the_pairs_of_a_question():
    done = with_seeds("CA", 4)
    assert len(runs(allocate([standing("CA", FAR)], situation("CA", done=done, slots=100)))) == 8


def test_a_seed_that_was_lost_is_left_out_and_the_next_is_taken():
    done, lost = with_seeds("CA", 4), {("A", 4)}
    assert runs(allocate([standing("CA", NEAR)], situation("CA", done=done, lost=lost))) == [("C", 5), ("A", 5)]
    first = allocate([standing("CA")], situation("CA", lost={("A", 0)}))
    assert runs(first) == [("C", 1), ("A", 1)]


def test_answered_and_hopeless_questions_get_nothing():
    asked = [standing("CA", NEAR, answered=True, answer="yes"), standing("CB", NEAR, hopeless="refused: other data")]
    found = allocate(asked, situation("CAB", done=with_seeds("CAB", 4)))
    assert runs(found) == []
    assert [prospect.outcome for prospect in found.prospects] == ["answered", "out of reach"]
    assert found.prospects[1].why == "refused: other data"


def test_seeds_end_at_the_most_that_an_experiment_may_have_with_those_that_were_lost():
    done, lost = with_seeds("CA", 4), {("A", 4)}
    limited = situation("CA", done=done, lost=lost, most=6, slots=50)
    assert runs(allocate([standing("CA", NEAR)], limited)) == [("C", 5), ("A", 5)]
    full = allocate([standing("CA", NEAR)], situation("CA", seeds=range(4), done=done, most=4))
    assert (runs(full), full.prospects[0].why) == ([], "no seed is left of 4")


def test_what_the_rest_would_cost_is_foreseen_beyond_the_most_seeds():
    hopeless = Sample(n=18, mean=0.25, deviation=1.0, margin=0.5, level=0.05)
    found = allocate([standing("CA", hopeless)], situation("CA", done=with_seeds("CA", 18)))
    (prospect,) = found.prospects
    assert runs(found) == []
    assert prospect.why == "less than 5% probable with 2 more pairs, as many as there can be"
    assert 2 < prospect.pairs[1] < math.inf
    assert prospect.seconds == (180.0, 200.0, 240.0)


def test_a_budget_that_does_not_pay_for_an_answer_is_not_spent_on_it():
    done = with_seeds("CA", 4)
    poor = allocate([standing("CA", FAR)], situation("CA", done=done, budget=100.0))
    assert (runs(poor), poor.prospects[0].outcome) == ([], "out of reach")
    assert "1 more pair costs more than what is left of the budget" in poor.prospects[0].why
    rich = allocate([standing("CA", FAR)], situation("CA", done=done, budget=1e6))
    assert runs(rich) == [("C", 4), ("A", 4)]


def test_a_question_that_wants_for_more_than_pairs_does_not_starve_the_others():
    """Its times differ for sure, and its accuracies are not known to be equal: 100 more pairs would show that."""
    sure = Sample(n=4, mean=9.0, deviation=0.1, margin=0.2, level=0.05)
    asked = [standing("CA", sure, further=100), standing("CB", FAR)]
    found = allocate(asked, situation("CAB", done=with_seeds("CAB", 4)))
    assert runs(found) == [("C", 4), ("B", 4)]
    assert found.prospects[0].pairs == (1.0, 100.0, math.inf)


@pytest.mark.parametrize("slots", [1, 2, 7, 64])
def test_choices_are_the_same_again_and_end_for_certain(slots):
    """However the results fall, nothing is chosen twice, and the seeds run out."""
    done: set = set()
    for _ in range(100):
        n = len({seed for name, seed in done if name == "C"} & {seed for name, seed in done if name == "A"})
        sample = replace(FAR, n=n) if n > 1 else None
        here = situation("CA", done=done, slots=slots)
        found = allocate([standing("CA", sample, n=n)], here)
        assert runs(found) == runs(allocate([standing("CA", sample, n=n)], here))
        if not found.chosen:
            break
        assert not done & {*runs(found)}
        done |= {*runs(found)}
    assert not found.chosen
