"""One answer over a grid, asked for or offered, and the other tests that stand beside an answer."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import anytime
from analysis.comparison.contrasts import contrasts
from analysis.reading.importing import import_results
from analysis.reading.results import Results
from analysis.tables.comparisons import comparisons_table
from analysis.verdicts.answers import verdicts
from analysis.verdicts.wording import basis, headline, remarks, what_would_settle
from raysweep.experiment import Filter, Question
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.questions import hash_of, read_question
from tests.analysis.original_files import archive
from tests.analysis.sweeps import TIME, answered, frame, one, question, record, runs_of, timed, written

WAVELETS, RANDOM = (
    Filter(label=label, fields={"random_init": init}) for label, init in (("wavelets", False), ("random", True))
)
GRID = Question(
    name="everywhere",
    text="Do wavelets help over all architectures?",
    kind="pooled",
    arms=(WAVELETS,),
    baseline=RANDOM,
    metrics=("final_acc",),
    factor=("random_init", "joint"),
    better="higher",
)


def cell(architecture, differences, base=60.0, **config):
    """A record of either arm for each seed, whose differences are these."""
    fields = {"n_blocks": 3, **config, "train_size": architecture}
    return [
        record(
            f"{'rand' if random else 'wave'}{architecture:g}",
            seed,
            config={**fields, "random_init": random, "joint": random},
            final_acc=base + seed + (0.0 if random else difference),
        )
        for seed, difference in enumerate(differences)
        for random in (False, True)
    ]


def grid(*cells, **config):
    return [run for i, differences in enumerate(cells) for run in cell(float(i + 1), differences, **config)]


def test_one_seed_each_answers_by_student_s_test_over_cells():
    differences = [1.0, 2.5, 0.3, 1.7, 2.2, 1.1, 3.0, 1.9, 0.8, 2.0]
    v = one(grid(*([d] for d in differences)), written(GRID))
    expected = stats.ttest_1samp(differences, 0)
    assert (v.answer, v.n) == ("yes", 10)
    assert v.estimate == pytest.approx(np.mean(differences))
    assert v.interval_fixed == pytest.approx(tuple(expected.confidence_interval()))
    assert v.p_fixed == pytest.approx(expected.pvalue)
    assert v.interval == pytest.approx(anytime.interval(differences))
    assert v.p == v.p_corrected == pytest.approx(anytime.two_sided(differences))
    assert v.means == {"random": pytest.approx(60.0), "wavelets": pytest.approx(60.0 + np.mean(differences))}
    assert len(v.runs) == 20
    assert v.flags == ()
    assert "10 cells, n = 1 each, p 0" in basis(v)
    assert "fixed n: t-test over cells (Hartung-Knapp) p" in basis(v)
    spread, outliers = remarks(v)
    assert spread.startswith(f"cells spread by {np.std(differences, ddof=1):.2f} (standard deviation)")
    assert outliers == "10 of 10 cells are above zero; none stands out from the others (Holm over 10)"


def test_with_seeds_their_noise_is_told_from_what_cells_differ_by():
    rng = np.random.default_rng(2)
    cells = [list(1.0 + rng.normal(0, 0.3, 3)) for _ in range(7)] + [list(6.0 + rng.normal(0, 0.3, 2))]
    v = one(grid(*cells), written(GRID))
    assert (v.n, v.pooled.seeds) == (8, (2, 3))
    assert v.pooled.heterogeneity.p < 0.001
    assert list(v.pooled.differing) == ["wave8"]
    said, outliers = remarks(v)
    assert "beyond the noise of seeds (tau; I2 9" in said
    assert "beyond the mean of the others (Holm over 8): wave8 +" in outliers
    row = comparisons_table([v]).rows.iloc[0]
    assert (row["cells"], row["cells_that_differ"].split()[0]) == (8, "wave8")
    assert row["tau"] == pytest.approx(v.pooled.heterogeneity.tau)


def test_cells_are_paired_by_all_fields_but_the_factor():
    """Here by blocks and train size; a cell that one arm alone has, and seeds that one arm alone has, do not count."""
    rows = grid([1.0], [2.0], [3.0]) + [
        {**run, "run": f"{run['run']}-4", "experiment": f"{run['experiment']}_4"}
        for run in grid([5.0], [6.0], [7.0], n_blocks=4)
    ]
    alone = [
        record(
            "wave9", 0, config={"train_size": 9.0, "n_blocks": 3, "random_init": False, "joint": False}, final_acc=0.0
        )
    ]
    more = [
        record(
            "wave1", 7, config={"train_size": 1.0, "n_blocks": 3, "random_init": False, "joint": False}, final_acc=0.0
        )
    ]
    v = one(rows + alone + more, written(GRID))
    assert (v.n, v.estimate, v.seeds) == (6, pytest.approx(4.0), (0,))
    assert len(v.runs) == 12
    (contrast,) = contrasts(GRID, Results(frame=frame(*rows)).settings[0])
    assert {name: round(value, 9) for name, (value,) in contrast.cells.items()} == {
        **{"wave1": 1.0, "wave2": 2.0, "wave3": 3.0},
        **{"wave1_4": 5.0, "wave2_4": 6.0, "wave3_4": 7.0},
    }


def test_runs_without_a_seed_are_paired_where_a_cell_has_one_of_each():
    rows = [{**run, "seed": None, "config": {**run["config"], "seed": None}} for run in grid([1.0], [2.0], [4.0])]
    v = one(rows, written(GRID))
    assert (v.n, v.estimate) == (3, pytest.approx(7 / 3))


def test_too_few_cells_and_missing_arms_are_said():
    two = one(grid([1.0, 1.1], [2.0, 2.2]), written(GRID))
    assert headline(two) == "final_acc: undecided (2 cells), +1.58"
    assert "more cells would be needed" in what_would_settle(two)
    rows = grid([1.0], [2.0], [3.0])
    assert one([r for r in rows if r["config"]["random_init"]], written(GRID)).reason == "no result of wavelets"
    apart = [r for r in rows if r["config"]["random_init"] == (r["config"]["train_size"] > 1)]
    assert one(apart, written(GRID)).reason == "no cell of wavelets and random with a seed in common"


def test_what_is_undecided_asks_for_seeds_where_they_would_tell():
    alone = one(grid([0.1], [-0.2], [0.3], [0.5]), written(GRID))
    assert alone.answer == "undecided"
    assert (alone.needed.seeds, alone.needed.effect) == (2, "how much they vary")
    noisy = one(grid([0.5, 3.0], [-2.0, 1.0], [0.4, -1.0], [2.0, 1.2], [-1.0, 2.0]), written(GRID))
    pooled = noisy.pooled
    total = 2 + noisy.needed.seeds
    error = math.sqrt((pooled.heterogeneity.tau**2 + pooled.noise**2 / total) / 5)
    effect = max(0.5, noisy.estimate)
    assert noisy.answer == "undecided"
    assert noisy.needed.power == pytest.approx(stats.nct.sf(anytime.critical(5, 0.05), 4, effect / error))
    assert noisy.needed.power >= 0.8
    differing = one(grid([0.1, 0.0], [-9.0, -9.1], [9.0, 9.1], [5.0, 5.1], [-4.0, -4.1]), written(GRID))
    assert differing.needed is None
    assert what_would_settle(differing).startswith("more cells would be needed")


def test_a_pooled_answer_is_corrected_with_its_family():
    rows = (
        grid(*([d] for d in (1.0, 2.5, 0.3, 1.7))) + runs_of("C", [60.0, 61.0, 60.4]) + runs_of("A", [61.0, 62.2, 61.1])
    )
    both = answered(rows, written(replace(GRID, family="f")), question(family="f"))
    assert [v.tests for v in both] == [2, 2]
    p = sorted(v.p for v in both)
    assert sorted(v.p_corrected for v in both) == pytest.approx([2 * p[0], max(2 * p[0], p[1])])


def test_equivalent_over_a_grid_is_within_what_matters():
    v = one(grid(*([d] for d in (0.1, -0.1, 0.05, -0.02, 0.0, 0.03, -0.06))), written(GRID))
    assert v.answer == "equivalent"


def test_pooled_questions_are_about_filters():
    with pytest.raises(ValueError, match=r"'everywhere' is pooled over the cells of a grid, and 'C' is one experiment"):
        replace(GRID, baseline="C")
    with pytest.raises(ValueError, match="has no baseline"):
        replace(GRID, baseline="")
    assert read_question(json.loads(json.dumps(asdict(GRID)))).question == replace(GRID)


def test_hashes_of_questions_asked_before_there_were_grids_are_what_they_were():
    """Written down at the version before: a hash of the words of a question must not change with ours."""
    assert hash_of(
        asdict(Question(name="depth", text="Does it?", baseline="C", arms=("A",), metrics=("head_acc",)))
    ) == ("3194651b3d09e4e2")


def separate(differences):
    """A question of its own for each cell, as a grid of experiments by name asks them."""
    rows = grid(*([d] for d in differences))
    asked = [
        question(
            name=f"q{i}",
            text="Do wavelets help?",
            arms=(f"wave{i}",),
            baseline=f"rand{i}",
            metrics=("final_acc",),
            factor=("random_init", "joint"),
            family="f",
        )
        for i in range(1, len(differences) + 1)
    ]
    return rows, asked


def test_many_questions_of_one_seed_are_offered_one_answer_post_hoc():
    differences = [1.0, 2.5, 0.3, 1.7, 2.2, 1.1, 3.0, 1.9]
    rows, asked = separate(differences)
    *each, offered = answered(rows, *asked)
    assert {v.answer for v in each} == {"undecided"}
    assert offered.kind == "pooled"
    assert offered.estimate == pytest.approx(np.mean(differences))
    assert offered.interval_fixed == pytest.approx(tuple(stats.ttest_1samp(differences, 0).confidence_interval()))
    assert (offered.arm, offered.baseline) == ("random_init = False", "random_init = True")
    assert offered.flags == ("post hoc: nobody asked it; it is offered because 8 questions have one seed each",)
    assert {v.tests for v in each} == {8}, "what is offered takes no part in the correction of what was asked"
    assert offered.tests == 1
    asks = "is final_acc better with random_init = False than with random_init = True?"
    assert offered.text == f"Over 8 questions of one seed each: {asks}"
    assert len(answered(rows, *asked, written(GRID))) == 9, "nor is it offered where it was asked"
    assert len(answered(rows, *asked[:7])) == 7


def test_differences_that_share_runs_are_counted_once():
    rows, asked = separate([1.0, 2.5, 0.3, 1.7, 2.2, 1.1, 3.0, 1.9])
    again = replace(asked[0], question=replace(asked[0].question, name="again"))
    *_, offered = answered(rows, *asked, again)
    assert offered.n == 8
    assert "1 difference left out that share runs with others" in offered.flags


def test_other_tests_stand_beside_an_answer():
    rng = np.random.default_rng(4)
    values = {name: rng.normal(60 + i, 0.5, 4) for i, name in enumerate("CABD")}
    rows = [run for name, accuracies in values.items() for run in runs_of(name, accuracies)]
    found = answered(rows, *(question(name=name, arms=(name,), family="f") for name in "ABD"))
    differences = [values[name] - values["C"] for name in "ABD"]
    for v, own, name in zip(found, differences, "ABD", strict=True):
        welch = stats.ttest_ind(values[name], values["C"], equal_var=False)
        assert v.sensitivity.unpaired.p == pytest.approx(welch.pvalue)
        assert v.sensitivity.unpaired.interval == pytest.approx(tuple(welch.confidence_interval()))
        moderated = v.sensitivity.moderated
        variance = np.var(own, ddof=1)
        if math.isinf(moderated.d0):
            posterior, degrees = moderated.s0**2, 9
        else:
            posterior = (moderated.d0 * moderated.s0**2 + 3 * variance) / (moderated.d0 + 3)
            degrees = min(9, moderated.d0 + 3)
        t = own.mean() / math.sqrt(posterior / 4)
        assert moderated.p == pytest.approx(2 * stats.t.sf(abs(t), degrees))
        assert moderated.cells == 3
        (line,) = remarks(v)
        assert line.startswith("beside it, for a fixed n and not corrected: moderated t p ")
        assert "over 3 cells); unpaired (Welch) p " in line
        assert "correlation" not in line
    row = comparisons_table(found).rows.iloc[0]
    assert row["p_moderated"] == found[0].sensitivity.moderated.p
    assert row["p_unpaired"] == found[0].sensitivity.unpaired.p
    assert one(rows, question()).sensitivity.moderated is None, "two cells or one have no prior"


def test_the_correlation_of_pairs_is_printed_with_its_interval_from_eight_on():
    rng = np.random.default_rng(9)
    base = rng.normal(60, 1, 9)
    arm = base + rng.normal(0.5, 0.5, 9)
    v = one(runs_of("C", base) + runs_of("A", arm), question())
    r, interval = v.sensitivity.correlation
    expected = stats.pearsonr(arm, base)
    assert r == pytest.approx(expected.statistic)
    assert interval == pytest.approx(tuple(expected.confidence_interval()))
    assert f"correlation of the pairs {r:+.2f} [" in next(remarks(v))
    assert one(runs_of("C", base[:7]) + runs_of("A", arm[:7]), question()).sensitivity.correlation is None


def test_of_times_the_other_tests_are_of_logarithms():
    rows = timed("C", [10.0, 10.2, 9.9, 10.1], [94.0] * 4) + timed("A", [8.0, 8.1, 8.0, 8.2], [94.1] * 4)
    v = one(rows, question(**TIME))
    welch = stats.ttest_ind(np.log([8.0, 8.1, 8.0, 8.2]), np.log([10.0, 10.2, 9.9, 10.1]), equal_var=False)
    assert v.sensitivity.unpaired.interval == pytest.approx(np.expm1(welch.confidence_interval()))


@pytest.mark.data
def test_the_authors_single_runs_are_offered_one_answer(tmp_path):
    """Their 12 pairs of runs without a seed, against scipy on the differences in their own summary."""
    source = archive("cifar_all_results", tmp_path)
    ledger = open_ledger(tmp_path / "results")
    import_results(ledger, [source])
    (offered,) = [v for v in verdicts(Results.read(ledger.folder)) if v.kind == "pooled"]
    summary = pd.read_csv(source / "summary.csv").set_index("label")
    random = summary["joint_acc"].dropna()
    differences = summary["finetune_acc"][random.index.str.replace("_rand", "")].to_numpy() - random.to_numpy()
    expected = stats.ttest_1samp(differences, 0)
    assert (offered.n, offered.answer) == (12, "undecided")
    assert offered.estimate == pytest.approx(differences.mean())
    assert offered.p_fixed == pytest.approx(expected.pvalue)
    assert offered.interval_fixed == pytest.approx(tuple(expected.confidence_interval()))
