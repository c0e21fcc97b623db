"""A family is refused in one line where it names what there is not; and questions take what they leave open from it."""

from dataclasses import replace

import pytest

from raysweep.experiment import Filter, Group, Search
from tests.analysis.own_family import DIFFERENCE, IMPLIED, METRICS, experiment, family

SEARCH = replace(DIFFERENCE, kind="search", target=3.0, search=Search(over="epoch", limits=(1, 9)))

WRONG = {
    "unknown metric 'val_los' in question 'adam' of own; did you mean 'val_loss'?": {
        "questions": (replace(DIFFERENCE, metrics=("val_los",)),)
    },
    "unknown metric 'perplxity' in question 'adam' of own; did you mean 'perplexity'?": {
        "questions": (replace(DIFFERENCE, kind="time", metrics=("tokens_per_second",), equal="perplxity"),)
    },
    "unknown experiment 'adm' in question 'adam' of own; did you mean 'adam'?": {
        "questions": (replace(DIFFERENCE, arms=("adm",)),)
    },
    "unknown experiment 'sdg' in question 'adam' of own; did you mean 'sgd'?": {
        "questions": (replace(DIFFERENCE, baseline="sdg"),)
    },
    "unknown experiment 'adams' in group 'optimizers' of own; did you mean 'adam'?": {
        "groups": (Group(name="optimizers", experiments=("sgd", "adams")),)
    },
    "unknown question 'adms' in group 'optimizers' of own; did you mean 'adam'?": {
        "groups": (Group(name="optimizers", experiments=("sgd",), search="adms"),)
    },
    "unknown field 'optimiser' in question 'adam' of own; did you mean 'optimizer'?": {
        "questions": (replace(DIFFERENCE, factor=("optimiser",)),)
    },
    "unknown field 'withd' in question 'adam' of own; did you mean 'width'?": {
        "questions": (replace(DIFFERENCE, arms=(Filter(label="wide", fields={"withd": 64}),)),)
    },
    "unknown field 'epoch' in question 'adam' of own; did you mean 'epochs'?": {"questions": (SEARCH,)},
    "unknown metric or field 'val_lss' in the columns of own; did you mean 'val_loss'?": {"columns": ("val_lss",)},
    "unknown metric 'loss' in an implied question of own; did you mean 'val_loss'?": {
        "implied": (replace(IMPLIED, difference=replace(IMPLIED.difference, metrics=("loss",))),)
    },
    "two questions of own are called 'adam'": {"questions": (DIFFERENCE, DIFFERENCE)},
    "two experiments of own are called 'adam'": {"experiments": (experiment("adam"), experiment("adam"))},
    "two metrics of own are called 'val_loss'": {"metrics": (*METRICS, METRICS[0])},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_family_that_names_what_there_is_not_is_refused_with_the_nearest_name(message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        family(**WRONG[message])
    assert str(error.value) == message


def test_a_question_takes_its_family_and_the_better_values_from_the_metrics():
    own = family()
    assert (own.asked(DIFFERENCE).better, own.asked(DIFFERENCE).family) == ("lower", "own")
    assert own.asked(replace(DIFFERENCE, metrics=("tokens_per_second",))).better == "higher"
    assert own.asked(replace(DIFFERENCE, better="higher", family="mine")).better == "higher"
    assert own.asked(replace(DIFFERENCE, family="mine")).family == "mine"
    assert own.asked(replace(DIFFERENCE, kind="equivalence", metrics=("sparsity",))).better == "higher"


@pytest.mark.parametrize("metrics", [("sparsity",), ("val_loss", "tokens_per_second")])
def test_a_question_whose_metrics_do_not_say_what_is_better_has_to(metrics):
    with pytest.raises(ValueError, match="question 'adam' of own does not say which values of"):
        family(questions=(replace(DIFFERENCE, metrics=metrics),))
    family(questions=(replace(DIFFERENCE, metrics=metrics, better="lower"),))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arms": ()}, "has no arms"),
        ({"metrics": ()}, "has no metrics"),
        ({"baseline": ""}, "has no baseline"),
        ({"kind": "interaction"}, "is about an interaction and has 1 arms, not 3"),
        ({"kind": "time"}, "does not say which metric has to be equal"),
        ({"kind": "target"}, "has no target"),
        ({"kind": "search", "target": 1.0}, "has no search"),
        ({"kind": "trend", "over": ""}, "does not say over which field its trend is"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_where_it_is_asked(changes, reason):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        replace(DIFFERENCE, **changes)
    assert str(error.value) == f"question 'adam' {reason}"
