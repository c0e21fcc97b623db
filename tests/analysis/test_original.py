"""The authors' result files as records, and their own tables from them."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from analysis.reading.importing import import_results, read_record
from analysis.reading.original import architecture, experiment_name
from analysis.reading.results import Results
from analysis.tables.scattering import filter_change_table, significance_table
from raysweep import load_results
from raysweep.ledger.opening import open_ledger
from search_spaces import cifar_scattering, scattering_grid
from tests.analysis.original_files import SAMPLE, archive, write_files
from tests.conftest import DATA, run

FIRST = next(iter(SAMPLE))


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path / "results")


def in_authors_terms(table: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Their rows beside ours: their architectures are called 3b_cmod_4L, their sizes 10%."""
    theirs = theirs.assign(
        arch=theirs["arch"].str.replace("4L", "L4"), train_size=theirs["data_frac"].str.rstrip("%").astype(float) / 100
    )
    merged = theirs.merge(table, on=["arch", "train_size"], suffixes=("_theirs", ""))
    assert len(merged) == len(theirs) == len(table) == 14
    return merged


@pytest.mark.data
def test_the_paired_table_is_the_authors(ledger, tmp_path):
    source = archive("cifar_post_cifar10", tmp_path)
    assert import_results(ledger, [source]).records == 140
    table = significance_table(Results.read(ledger.folder)).rows
    both = in_authors_terms(table, pd.read_csv(source / "significance_table.csv"))
    for column in ("mean_scat", "mean_rand", "delta", "p_value", "n_seeds"):
        np.testing.assert_allclose(both[column].astype(float), both[f"{column}_theirs"], rtol=0, atol=1e-6)
    # Their std has divisor n, so their intervals are too narrow; ours has n - 1.
    n = both["n_seeds"].astype(float)
    np.testing.assert_allclose(both["std_delta"] / both["std_delta_theirs"], np.sqrt(n / (n - 1)), rtol=1e-9)
    width, theirs = both["ci95_hi"] - both["ci95_lo"], both["ci95_hi_theirs"] - both["ci95_lo_theirs"]
    np.testing.assert_allclose((width / theirs).astype(float), np.sqrt(n / (n - 1)), rtol=1e-6)


@pytest.mark.data
def test_the_table_of_filter_change_is_the_authors(ledger, tmp_path):
    source = archive("cifar_post_cifar10", tmp_path)
    import_results(ledger, [source])
    table = filter_change_table(Results.read(ledger.folder)).rows
    both = in_authors_terms(table, pd.read_csv(source / "delta_gain_table.csv"))
    for column in ("delta_mean", "delta_std", "gain_mean", "gain_std", "corr_delta_gain"):
        np.testing.assert_allclose(both[column].astype(float), both[f"{column}_theirs"], rtol=0, atol=1e-6)


@pytest.mark.data
def test_earlier_runs_give_the_rows_of_the_authors_summary(ledger, tmp_path):
    source = archive("cifar_all_results", tmp_path)
    assert import_results(ledger, [source]).records == 40
    frame = load_results(ledger.folder)
    summary = pd.read_csv(source / "summary.csv")
    both = summary.merge(frame, on="label", suffixes=("_theirs", ""))
    assert len(both) == len(summary) == 40
    for column in summary.columns.drop("label"):
        theirs, ours = both[f"{column}_theirs"], both[column]
        if column == "modulus_type":
            assert (theirs == ours).all()
        elif column in ("random_init", "joint"):  # empty where it is off
            assert (theirs.fillna(value=False).astype(bool) == ours.astype(bool)).all()
        else:
            np.testing.assert_allclose(ours.astype(float), theirs.astype(float), rtol=0, atol=1e-6)
    assert frame["seed"].isna().all()


def test_the_sample_gives_the_same_rows_without_the_archives(ledger, tmp_path):
    """Figures of the authors' significance_table.csv need five seeds; these are worked out from three by numpy."""
    import_results(ledger, [write_files(SAMPLE, tmp_path / "files")])
    table = significance_table(Results.read(ledger.folder)).rows.set_index("train_size")
    for size in (0.1, 0.2):
        sides = {}
        for random in (False, True):
            of_side = [
                c["results"]["joint_acc" if random else "finetune_acc"]
                for c in sorted(SAMPLE.values(), key=lambda c: c["config"]["seed"])
                if c["config"]["random_init"] == random and c["config"]["train_size"] == size
            ]
            sides[random] = np.array(of_side)
        delta = sides[False] - sides[True]
        row = table.loc[size]
        assert row["arch"] == "3b_cmod_L4"
        assert row["delta"] == pytest.approx(delta.mean())
        assert row["std_delta"] == pytest.approx(delta.std(ddof=1))
        assert row["n_seeds"] == 3
        assert len(row["runs"].split()) == 6


def test_a_record_has_our_fields_and_says_that_it_is_imported(tmp_path):
    record = read_record(write_files(SAMPLE, tmp_path) / FIRST)
    assert record["experiment"] == "3b_cmod_L4_rand_s10"
    assert record["imported"] == FIRST
    assert (record["seed"], record["num_workers"], record["dataset"]) == (42, 1, "cifar10")
    assert record["config"]["global_batch_size"] == 128
    assert record["results"]["final_acc"] == record["results"]["joint_acc"]
    assert record["results"]["batch_norm_images"] == 128
    assert "lr_epochs" in record["no_effect"]
    assert record["finished"].startswith("2026-02-28T21:30:26")


def test_the_names_are_those_of_our_grid():
    """Of every architecture in the authors' files that our family has, and of every architecture by our own rule."""
    from trainables.scattering import ScatteringConfig

    known = {e.name for e in cifar_scattering.FAMILY.experiments}
    for content in SAMPLE.values():
        config = read_config(content["config"])
        assert experiment_name(config) in known
    for content in json.loads((DATA / "authors_results.json").read_text()):
        config = read_config(content["config"])
        names = ("n_blocks", "L", "kernel_size", "modulus_type", "mixing_horizon", "lowpass_last")
        ours = ScatteringConfig(**{name: config[name] for name in names})
        assert architecture(config) == scattering_grid.architecture_name(ours)


def read_config(given):
    from analysis.reading.original import _config

    return _config(given)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("not json", "it is not JSON"),
        ([1, 2], "it has no config and results"),
        ({"config": {}, "results": {}}, "it has no config and results"),
        ({"config": {"dataset": "cifar10"}, "results": {"head_acc": 1.0}}, "its config has no n_blocks, L"),
        ({"config": {**SAMPLE[FIRST]["config"], "dataset": "mnist"}}, "dataset 'mnist' is none of cifar10"),
        ({"config": {**SAMPLE[FIRST]["config"], "n_blocks": "3"}}, "n_blocks is '3'"),
        ({"results": {"joint_acc": math.nan}}, "joint_acc is nan, not a percentage"),
        ({"results": {"joint_acc": 640.3}}, "joint_acc is 640.3, not a percentage"),
        ({"results": {"n_params_total": 3}}, "it has no accuracy"),
        ({"config": {**SAMPLE[FIRST]["config"], "seed": "42"}}, "seed is '42'"),
        ({"config": {**SAMPLE[FIRST]["config"], "n_blocks": 3.5}}, "n_blocks is 3.5"),
        ({"config": {**SAMPLE[FIRST]["config"], "mixing_horizon": "27"}}, "mixing_horizon is '27'"),
        ({"config": {**SAMPLE[FIRST]["config"], "global_avg_pool": "no"}}, "global_avg_pool is 'no'"),
        ({"config": {**SAMPLE[FIRST]["config"], "dataset": ["x"]}}, "dataset ['x'] is none of"),
        ({"results": {"joint_acc": 60.0, "block_summary": 5}}, "it is not as the original writes it"),
        ({"curves": {"joint": [{"val_acc": None}]}}, "it is not as the original writes it"),
    ],
)
def test_a_bad_file_is_named_and_skipped(ledger, tmp_path, change, reason):
    good = list(SAMPLE)[1]
    bad = {**SAMPLE[FIRST], **change} if isinstance(change, dict) else change
    files = write_files({good: SAMPLE[good], FIRST: bad}, tmp_path / "files")
    done = import_results(ledger, [files])
    assert done.records == 1
    assert len(done.skipped) == 1
    assert done.skipped[0].startswith(f"{files / FIRST}: skipped, {reason}")


def test_the_same_file_twice_is_one_record(ledger, tmp_path):
    files = write_files(SAMPLE, tmp_path / "files")
    assert import_results(ledger, [files]).records == 12
    again = import_results(ledger, [files, files / FIRST])
    assert (again.records, again.already_there) == (0, 13)
    assert len(load_results(ledger.folder)) == 12


def test_files_without_a_seed_or_later_flags_are_taken_too(ledger, tmp_path):
    content = SAMPLE[list(SAMPLE)[-1]]
    config = {name: v for name, v in content["config"].items() if name not in ("l2_penalty", "joint", "random_init")}
    files = {
        "a/results_1.json": {**content, "config": {**config, "seed": None, "train_size": None}, "curves": {}},
        "b/results_2.json": {**content, "config": {**config, "l2_penalty": 0.01}},
        "c/results_3.json": {"config": {**config, "seed": 7}, "results": content["results"]},
    }
    assert import_results(ledger, [write_files(files, tmp_path / "files")]).records == 3
    frame = load_results(ledger.folder).set_index("imported")
    assert frame.loc["a/results_1.json", "experiment"] == "3b_cmod_L4_s100"
    assert frame.loc["b/results_2.json", "experiment"] == "3b_cmod_L4_l2_penalty=0.01_s20"
    assert frame.loc["c/results_3.json", "experiment"] == "3b_cmod_L4_s20"
    assert frame["seed"].isna().to_dict()["a/results_1.json"]
    assert frame.loc["c/results_3.json", "seed"] == 7
    assert set(Results.read(ledger.folder).settings[0].runs["dataset"]) == {"cifar10"}


def test_the_command_imports_and_reports(tmp_path):
    files = write_files({**SAMPLE, "bad/results_x.json": "{"}, tmp_path / "files")
    done = run("-m", "analysis", "import", tmp_path / "results", files)
    assert done.returncode == 0
    assert done.stdout == f"12 imported, 1 skipped; results in {tmp_path / 'results'}\n"
    assert done.stderr == f"{files / 'bad/results_x.json'}: skipped, it is not JSON\n"
    shown = run("-m", "analysis", tmp_path / "results", "--out", tmp_path / "out")
    assert shown.returncode == 0
    assert "Do wavelets help 3b_cmod_L4 at 10 % of the training images?" in shown.stdout
    assert "post hoc: it was not written down beforehand" in shown.stdout
    table = pd.read_csv(tmp_path / "out" / "tables" / "significance.csv")
    asked = ["arch", "train_size", "mean_scat", "mean_rand", "delta", "std_delta", "p_value", "ci95_lo", "ci95_hi"]
    assert list(table.columns[:10]) == [*asked, "n_seeds"]
    assert table["arch"].tolist() == ["3b_cmod_L4"] * 2
    assert table["train_size"].tolist() == [0.1, 0.2]
    for source, says in ((tmp_path / "none", "does not exist"), (tmp_path / "out", "holds no results_*.json")):
        refused = run("-m", "analysis", "import", tmp_path / "results", source)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: {source} {says}")
