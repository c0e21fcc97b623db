"""A planned run is skipped in favour of an imported one where it is the same, and only when asked."""

import copy

import pytest

from analysis.reading.importing import import_results
from raysweep import load_results
from raysweep.ledger.opening import open_ledger
from raysweep.planning.imported import accept_imported
from raysweep.planning.runs import make_runs
from raysweep.trainable_loader import LoadedTrainable
from search_spaces import cifar_scattering, imagenet_scattering
from tests.analysis.original_files import SAMPLE, write_files
from tests.conftest import real_data, run_sweep
from trainables.scattering import ScatteringConfig

NAMES = ("3b_cmod_L4_s10", "3b_cmod_L4_rand_s10")


@pytest.fixture
def ledger(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    import_results(ledger, [write_files(SAMPLE, tmp_path / "files")])
    return ledger


def planned(ledger, monkeypatch, seeds=(42, 43), family=cifar_scattering.FAMILY, names=NAMES, workers=1, **overrides):
    """The plan on the data of the family, of whose files nothing is needed here."""
    facts = {"data": "files", "numerics": 2, "image_size": 32, "num_classes": 10}

    def check(trainable, config, num_workers):
        return {**facts, "no_effect": config.fields_without_effect()}

    monkeypatch.setattr(LoadedTrainable, "check", check)
    experiments = [e for e in family.experiments if e.name in names]
    runs = make_runs(experiments, ledger, family=family, overrides=overrides, seeds=seeds, num_workers=workers)
    return [run.record() for run in runs]


def test_the_same_runs_are_accepted_and_stay_marked_as_imported(ledger, monkeypatch):
    plan = planned(ledger, monkeypatch)
    lines = list(accept_imported(ledger, plan))
    assert len(lines) == 4
    assert lines[0].startswith("accepted for 3b_cmod_L4_s10 seed 42: 3b_cmod_L4_s10-s42-")
    assert {entry["run"] for entry in plan} <= ledger.settled()
    frame = load_results(ledger.folder).set_index("run").loc[[entry["run"] for entry in plan]]
    assert frame["imported"].notna().all()
    assert frame["same_as"].notna().all()
    assert frame["finetune_acc"].dropna().tolist() == [
        c["results"]["finetune_acc"] for s in (42, 43) for c in SAMPLE.values() if is_of(c, s, random=False)
    ]
    assert list(accept_imported(ledger, plan)) == []  # they are there now


def is_of(content, seed, *, random):
    config = content["config"]
    return (config["seed"], config["random_init"], config["train_size"]) == (seed, random, 0.1)


def test_runs_that_differ_are_not_accepted_and_it_is_said_in_what(ledger, monkeypatch):
    lines = list(accept_imported(ledger, planned(ledger, monkeypatch, seeds=(42,), patience=30)))
    assert len(lines) == 2
    assert lines[0].startswith("not accepted for 3b_cmod_L4_s10 seed 42: ")
    assert lines[0].endswith("has patience 20, not 30")
    assert "has num_workers 1, not 2" in next(accept_imported(ledger, planned(ledger, monkeypatch, workers=2)))
    assert list(accept_imported(ledger, planned(ledger, monkeypatch, seeds=(7,)))) == []


def test_a_run_on_data_that_were_prepared_beforehand_is_another_one(ledger, monkeypatch):
    plan = [{**run, "facts": {"prepared": "short side 400, quality 95"}} for run in planned(ledger, monkeypatch)]
    lines = list(accept_imported(ledger, plan))
    assert len(lines) == 4
    assert all(line.endswith("has dataset cifar10, not cifar10 (short side 400, quality 95)") for line in lines)


def test_what_has_no_effect_on_a_joint_run_need_not_be_the_same(ledger, monkeypatch):
    """The authors' joint runs say lr_epochs=180, ours 20: neither has any effect."""
    plan = planned(ledger, monkeypatch, names=NAMES[1:], lr_extractor=0.5)
    assert all(line.startswith("accepted") for line in accept_imported(ledger, plan))


def test_a_run_without_a_seed_stands_for_the_only_one_of_an_experiment(tmp_path, monkeypatch):
    """Experiment C, which the authors had running."""
    content = copy.deepcopy(next(c for c in SAMPLE.values() if not c["config"]["random_init"]))
    theirs = {"dataset": "imagenet", "train_size": None, "n_blocks": 4, "kernel_size": 7, "lowpass_last": True}
    theirs |= {"lr_epochs": 20, "epochs": 100, "batch_size": 1024, "seed": None}
    content["config"] |= theirs
    content["results"] |= {"world_size": 8, "train_size": None}
    ledger = open_ledger(tmp_path / "results")
    import_results(ledger, [write_files({"4b_L4_lp/results_1.json": content}, tmp_path / "files")])
    c = {"family": imagenet_scattering.FAMILY, "names": ("C",), "workers": 8}
    assert list(accept_imported(ledger, planned(ledger, monkeypatch, seeds=(1, 2), **c))) == []
    (line,) = accept_imported(ledger, planned(ledger, monkeypatch, seeds=(42,), **c))
    assert line.startswith("accepted for C seed 42: 4b_cmod_L4_kernel_size=7")


def test_fields_without_effect_are_those_of_phases_that_are_not_there():
    assert "lr_epochs" in ScatteringConfig(joint=True).fields_without_effect()
    assert ScatteringConfig().fields_without_effect() == ()
    assert ScatteringConfig(epochs=0, lr_epochs=3).fields_without_effect() == ("lr_extractor", "l2_penalty")


@pytest.mark.data
@pytest.mark.ray
def test_a_sweep_accepts_what_is_there_and_trains_nothing(tmp_path):
    data = real_data("cifar10")
    results = tmp_path / "results"
    import_results(open_ledger(results), [write_files(SAMPLE, tmp_path / "files")])
    done = run_sweep(
        *("--group", "cifar", "--only", ",".join(NAMES), "--seeds", "42,43,44", "--data-dir", data),
        *("--accept-imported", "--results", results),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accepted for") == 6
    assert "6 runs of cifar_scattering, 6 finished before, 0 to do" in done.stdout
    own, _ = done.stdout.split("Wavelets (fine-tuned)", 1)
    assert "Do wavelets help 3b_cmod_L4 at 10 % of the training images?" in own
    assert "post hoc: written down on" in own
