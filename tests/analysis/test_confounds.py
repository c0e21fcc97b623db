"""In what arms differ beyond the question's factor: said with the answer, or a reason to refuse one."""

from dataclasses import asdict

import pytest

from analysis.comparison.confounds import in_force, stopped_early
from analysis.reading.results import Results
from analysis.verdicts.answers import verdicts
from search_spaces import imagenet_scattering
from search_spaces.scattering_metrics import CONFOUNDS
from tests.analysis.sweeps import all_written, frame, question, record, runs_of

CONFIGS = {e.name: e.config for e in imagenet_scattering.FAMILY.experiments}


def summary(config):
    """The block_summary of a result."""
    return [{"in_channels": s.in_channels, "mixing_horizon": s.mixing_horizon} for s in config.block_shapes()]


def seed_run(name, seed=42, **more):
    """A run of A to I."""
    config = {**asdict(CONFIGS[name]), "seed": seed, "data_dir": "/data"}
    results = {"head_acc": 60.0 + seed, "finetune_gain": 5.0, "block_summary": summary(CONFIGS[name]), **more}
    return record(name, seed, dataset="imagenet", config=config, num_workers=8, **results)


def asked(name):
    return next(q for q in all_written(imagenet_scattering.FAMILY) if q.question.name == name)


def compared(records, q):
    return verdicts(Results(frame=frame(*records), questions=[q]))[0]


def test_the_seeds_own_comparisons_of_orientations_are_confounded():
    """C against E and A against D change L and the horizon at once; the answer says so and names runs that do not."""
    v = compared([seed_run("C"), seed_run("E")], asked("orientations_4b"))
    assert v.flags == ("also differs in mixing_horizon (C none, E 27; in force C all channels, E 27)",)
    assert "No pair of A to I isolates L" in v.note
    there = "--seeds 42 --dataset imagenet --data-dir /data --num-workers 8 --results results"
    assert v.isolated_by == f"python run_sweep.py --group all --grid L=8 {there}"
    v = compared([seed_run("A"), seed_run("D")], asked("orientations_5b"))
    assert v.flags == ("also differs in mixing_horizon (A none, D 27; in force A all channels, D 27)",)
    assert v.isolated_by == f"python run_sweep.py --group all --grid n_blocks=5 L=4,8 mixing_horizon=3 {there}"


def test_with_the_horizon_asked_equal_the_one_in_force_still_differs():
    q = question(baseline="B", arms=("D",), factor=("L",), dataset="imagenet")
    v = compared([seed_run("B"), seed_run("D")], q)
    assert v.flags == ("also differs in the mixing horizon in force (B 75, D 27)",)


@pytest.mark.parametrize("name", ["depth", "horizon", "modulus_4b", "modulus_5b"])
def test_the_others_differ_in_their_factor_alone(name):
    q = asked(name)
    v = compared([seed_run(q.question.baseline), seed_run(q.question.arms[0])], q)
    assert v.flags == ()
    assert v.isolated_by == ""


def test_what_would_isolate_the_factor_is_the_arm_with_the_baselines_other_values():
    q = question(factor=("L",))
    rows = runs_of("C", [60.0], config={"L": 4, "lr": 0.1, "gap": False}) + runs_of(
        "A", [61.0], config={"L": 8, "lr": 0.2, "gap": True}
    )
    v = compared(rows, q)
    assert v.flags == ("also differs in gap (C False, A True)", "also differs in lr (C 0.1, A 0.2)")
    assert v.isolated_by == "python run_sweep.py --only A --seeds 0 --set gap=False lr=0.1 --results results"


def test_fields_without_effect_do_not_count():
    rows = runs_of("C", [60.0], config={"save_dir": "a"}) + runs_of("A", [61.0], config={"save_dir": "b"})
    assert compared(rows, question()).flags == ()


def test_code_batch_precision_and_memory_are_said():
    one = {"num_workers": 1, "batch_norm_images": 128, "computed_in": "float32", "numerics": 1, "batch_parts": 1}
    other = {"num_workers": 2, "batch_norm_images": 64, "computed_in": "bfloat16", "numerics": 2, "batch_parts": 2}
    rows = [
        *runs_of("C", [60.0], **one, provenance={"revision": "abc", "torch_version": "2.14"}),
        *runs_of("A", [61.0], **other, provenance={"revision": "def", "torch_version": "2.15"}),
    ]
    assert compared(rows, question()).flags == (
        "workers: C 1, A 2",
        "images of a batch norm: C 128, A 64",
        "computed in: C float32, A bfloat16",
        "version of the arithmetic: C 1, A 2",
        "code: C abc, A def",
        "torch: C 2.14, A 2.15",
        "for want of memory A had its batches cut in 1 of 1 runs",
    )


def test_early_stops_against_the_epoch_limit_are_said():
    config = {"epochs": 100, "lr_epochs": 20}
    rows = [
        *runs_of("C", [60.0, 61.0], "finetune_acc", config=config, finetune_epochs=100, head_epochs=20),
        *runs_of("A", [60.0, 61.0], "finetune_acc", config=config, finetune_epochs=64, head_epochs=20),
    ]
    v = compared(rows, question(metrics=("finetune_acc",)))
    assert v.flags == ("stopped before the epoch limit: C 0 of 2, A 2 of 2 runs",)
    head, finetune, _ = CONFOUNDS.phases
    assert stopped_early({"epochs": 100, "lr_epochs": 20, "head_epochs": 20}, head) is False
    assert stopped_early({"epochs": 100, "head_epochs": 20}, head) is True
    assert stopped_early({"epochs": 100}, finetune) is None


def test_other_data_are_refused_and_imported_results_are_said():
    rows = runs_of("C", [60.0, 61.0]) + runs_of("A", [61.0, 62.0], data=None, imported="x/results_1.json")
    v = compared([*rows, *runs_of("A", [], data="digits")], question())
    assert v.answer == "open"
    across = verdicts(Results(frame=frame(*rows), questions=[question()]))[-1]
    assert across.flags == ("imported from the authors' own code: A",)
    assert across.needed.command == ""


def test_of_times_other_machines_of_the_same_kind_are_said():
    q = question(kind="time", metrics=("train_seconds",), better="lower", equal="head_acc")
    rows = [
        *runs_of("C", [60.0, 61.0], train_seconds=5.0, device_name="A100", provenance={"hostname": "n1"}),
        *runs_of("A", [60.0, 61.0], train_seconds=4.0, device_name="A100", provenance={"hostname": "n2"}),
    ]
    assert compared(rows, q).flags == ("machines: C n1, A n2",)


def test_the_horizon_in_force_is_the_largest_that_restricts():
    (horizon,) = CONFOUNDS.in_force
    assert {n: in_force(horizon, summary(CONFIGS[n])) for n in "ABCDE"} == {
        **{"A": "all channels", "B": "75", "C": "all channels", "D": "27", "E": "27"}
    }
    assert in_force(horizon, None) == ""


def test_recipes_of_very_different_length_are_said():
    """The authors' 20 and 150 epochs against 180 count as equal; 6 and 6 against 6 do not."""
    factor = ("joint", "epochs")

    def pair(lr_epochs, epochs, joint_epochs):
        return [
            *runs_of("C", [60.0], config={"joint": True, "lr_epochs": lr_epochs, "epochs": joint_epochs}),
            *runs_of("A", [61.0], config={"joint": False, "lr_epochs": lr_epochs, "epochs": epochs}),
        ]

    assert compared(pair(20, 150, 180), question(factor=factor)).flags == ()
    v = compared(pair(6, 6, 6), question(factor=factor))
    assert v.flags == ("also differs in the epochs of all phases together (C 6, A 12)",)
    assert (v.confounded, v.isolated_by) == (True, "")


def test_early_stops_after_very_different_epochs_are_said():
    rows = [
        *runs_of("C", [60.0, 61.0], "finetune_acc", config={"epochs": 150}, finetune_epochs=140),
        *runs_of("A", [60.0, 61.0], "finetune_acc", config={"epochs": 150}, finetune_epochs=60),
    ]
    v = compared(rows, question(metrics=("finetune_acc",)))
    assert v.flags == ("all stopped before the epoch limit, after epochs: C 140, A 60",)
