"""What a family says of its results decides how they are tabled, compared and answered; older folders stay readable."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis.__main__ import main
from analysis.reading.families import completed, undeclared
from analysis.reading.importing import import_results
from analysis.reading.results import Results
from analysis.tables.overall import summary_table
from analysis.terminal import print_results
from analysis.verdicts.answers import verdicts
from analysis.verdicts.wording import answer, estimate, headline, what_would_settle
from raysweep.experiment import Declaration
from raysweep.ledger.declarations import write_declarations
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import write_plan
from search_spaces import airbench, families, imagenet_scattering
from tests.analysis.original_files import SAMPLE, write_files
from tests.analysis.own_family import DIFFERENCE, Config, family
from tests.analysis.sweeps import record

LATER = {"finished": "2100-01-01T00:00:00+00:00"}


def run_of(name, seed, loss, **more):
    """A run of the family that nobody has heard of."""
    fields = {name: more.pop(name) for name in list(more) if name in asdict(Config())}
    config = {**asdict(Config(optimizer=name)), **fields, "seed": seed}
    made = record(name, seed, dataset="text", config=config, val_loss=loss, **LATER, **more)
    return {**made, "trainable": "own.trainable"}


@pytest.fixture
def folder(tmp_path):
    """Makes a results folder of that family from records and questions."""

    def make(records, *questions):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        ledger = open_ledger(place)
        own = family(questions=questions)
        write_plan(ledger, [], [own.asked(question) for question in questions])
        write_declarations(ledger, [own.declaration])
        for made in records:
            ledger.write(made)
        return Results.read(place)

    return make


SGD, ADAM = (2.51, 2.53, 2.49, 2.55), (2.31, 2.34, 2.28, 2.35)


def test_a_metric_of_its_own_is_tabled_and_answered_with_its_unit_and_direction(folder):
    records = [run_of(name, i, v) for name, vs in (("sgd", SGD), ("adam", ADAM)) for i, v in enumerate(vs)]
    results = folder(records, DIFFERENCE)
    (v,) = verdicts(results)
    assert answer(v) == "yes, by at least what matters (0.01 nats)"
    low, high = v.interval
    assert estimate(v) == f"{v.estimate:+.2f} [{low:+.2f}, {high:+.2f}] nats"
    assert v.estimate == pytest.approx(np.mean(ADAM) - np.mean(SGD))
    summary = summary_table(results)
    assert [column.heading for column in summary.columns] == ["experiment", "n", "val_loss (nats)", "±"]
    assert [row[2] for row in summary.shown()] == [f"{np.mean(ADAM):.3f}", f"{np.mean(SGD):.3f}"]
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_results(results, console)
    console.file.close()
    assert headline(v) in console.export_text()


def test_more_of_a_loss_is_worse_and_what_is_undecided_says_its_unit(folder):
    records = [run_of(name, i, v) for name, vs in (("sgd", ADAM), ("adam", SGD)) for i, v in enumerate(vs)]
    (v,) = verdicts(folder(records, DIFFERENCE))
    assert v.answer == "no"
    noisy = [run_of("sgd", i, 2.5) for i in range(3)] + [run_of("adam", i, v) for i, v in enumerate((2.2, 2.4, 2.5))]
    (v,) = verdicts(folder(noisy, DIFFERENCE))
    assert v.answer == "undecided"
    assert "nats, as large as seen," in what_would_settle(v)
    (v,) = verdicts(folder(noisy, replace(DIFFERENCE, smallest_effect=0.1)))
    assert what_would_settle(v).endswith("for the smallest that matters, 0.1 nats")


def test_speeds_are_compared_where_a_loss_is_no_higher(folder):
    asked = replace(
        DIFFERENCE,
        kind="time",
        metrics=("tokens_per_second",),
        equal="val_loss",
        equal_within=0.1,
        smallest_effect=0.02,
    )
    speeds = {"sgd": (100.0, 101.0, 99.0, 100.5), "adam": (120.0, 121.0, 119.0, 121.5)}

    def answered(losses):
        pairs = [("sgd", SGD), ("adam", losses)]
        records = [
            run_of(n, i, v, tokens_per_second=speeds[n][i], device_name="A100")
            for n, vs in pairs
            for i, v in enumerate(vs)
        ]
        (verdict,) = verdicts(folder(records, asked))
        return verdict

    assert answered(ADAM).answer == "yes"  # far from the same loss, but a better one
    assert answered([3.0, 3.05, 2.98, 3.05]).reason == "not at the same val_loss, val_loss +0.50"
    assert "that val_loss is no higher by 0.1 is not shown" in answered([2.2, 2.9, 2.4, 2.7]).reason


def test_a_target_is_reached_from_below_or_from_above(folder):
    asked = replace(DIFFERENCE, kind="target", baseline="", arms=("sgd", "adam"), target=2.4)
    losses = (("sgd", (*SGD, 2.52, 2.50, 2.54)), ("adam", (*ADAM, 2.30, 2.33, 2.29)))
    records = [run_of(name, i, v) for name, vs in losses for i, v in enumerate(vs)]
    assert {v.arm: v.answer for v in verdicts(folder(records, asked))} == {"sgd": "no", "adam": "yes"}


def test_what_makes_its_runs_hard_to_compare_is_said(folder):
    asked = replace(DIFFERENCE, metrics=("perplexity",), factor=("optimizer",))
    layers = [{"rank": 4, "width": 16}, {"rank": 8, "width": 8}]
    records = [
        *(run_of("sgd", i, 2.5, perplexity=9.0, main_epochs=10, kernels="a", ranks=layers) for i in range(2)),
        *(run_of("adam", i, 2.5, perplexity=8.0, main_epochs=7, kernels="b", ranks=layers[1:]) for i in range(2)),
    ]
    (v,) = verdicts(folder(records, asked))
    assert v.flags == (
        "also differs in the rank in force (sgd 4, adam full rank)",
        "kernels: sgd a, adam b",
        "stopped before the epoch limit: sgd 0 of 2, adam 2 of 2 runs",
    )
    loss = replace(DIFFERENCE, factor=("optimizer",))  # which does not depend on the phase
    (v,) = verdicts(folder(records, loss))
    assert not any("epoch limit" in flag for flag in v.flags)


def test_a_folder_without_questions_is_asked_what_its_family_implies(folder):
    records = [
        run_of(name, i, v + 0.01 * width + (rank or 0), width=width, rank=rank)
        for name, vs in (("sgd", (*SGD, 2.52, 2.50)), ("adam", (*ADAM, 2.30, 2.33)))
        for width in (16, 32)
        for rank in (None, 2)
        for i, v in enumerate(vs)
    ]
    for number, made in enumerate(records):
        fields = made["config"]
        name = f"{fields['optimizer']}_{fields['width']}_{fields['rank']}"
        records[number] = {**made, "experiment": name, "run": f"{name}-s{made['seed']}"}
    found = verdicts(folder(records))
    assert [v.text for v in found] == [
        f"Does Adam help {label} at width = {width}?" for label in ("lm", "lm_r2") for width in (16, 32)
    ]
    assert {v.answer for v in found} == {"yes"}
    assert {v.flags for v in found} == {("post hoc: it was not written down beforehand",)}


def test_what_is_imported_says_what_it_is_and_a_folder_from_before_gives_the_same_tables(tmp_path, capsys):
    ledger = open_ledger(tmp_path / "results")
    import_results(ledger, [write_files(SAMPLE, tmp_path / "files")])
    (declared,) = json.loads((ledger.folder / "families.json").read_text())
    assert (declared["name"], declared["trainables"]) == ("original", [""])

    def report(name):
        capsys.readouterr()
        assert main([str(ledger.folder), "--out", str(tmp_path / name)]) == 0
        shown = capsys.readouterr().out.replace(name, "OUT")
        return shown, {f.name: f.read_bytes() for f in (tmp_path / name / "tables").iterdir()}

    now = report("now")
    (ledger.folder / "families.json").unlink()
    assert report("then") == now


def test_what_is_known_of_folders_from_before_is_what_the_families_say():
    """Imported results are so read as our own. Where a family later measures more, the older file stays as it is, and
    this test compares what both know."""
    scattering, cascade = undeclared()
    ours = imagenet_scattering.FAMILY.declaration
    later = {f"{phase}_data_wait" for phase in ("head", "finetune", "joint")}
    ours = replace(
        ours,
        metrics=tuple(metric for metric in ours.metrics if metric.name not in later),
        columns=tuple(name for name in ours.columns if name not in later),
    )
    assert scattering == replace(ours, name=scattering.name, trainables=scattering.trainables)
    assert cascade == airbench.FAMILY.declaration


@pytest.mark.parametrize(("waits", "shown"), [((4.0, 9.9), []), ((4.0, 31.4), ["4", "31"]), ((None, None), [])])
def test_what_runs_waited_for_images_is_tabled_where_one_waited_for_long(tmp_path, waits, shown):
    ledger = open_ledger(tmp_path / "results")
    write_declarations(ledger, [imagenet_scattering.FAMILY.declaration])
    for name, wait in zip("AC", waits, strict=True):
        ledger.write(record(name, 0, head_acc=60.0, **({} if wait is None else {"head_data_wait": wait})))
    table = summary_table(Results.read(ledger.folder))
    headings = [column.heading for column in table.columns]
    assert ("head_data_wait (%)" in headings) == bool(shown)
    assert sorted(text for row in table.shown() for text in row[3:]) == sorted(shown)


def test_a_declaration_stands_for_its_trainables_alone():
    """Runs from before stay known where a later sweep has declared something else."""
    own = family().declaration
    found = completed([own])
    assert [declaration.trainables for declaration in found] == [
        ("own.trainable",),
        ("trainables.scattering", ""),
        ("trainables.airbench",),
    ]
    found = completed([replace(own, trainables=("trainables.scattering",))])
    assert [declaration.trainables for declaration in found[1:]] == [("",), ("trainables.airbench",)]


def test_runs_of_two_families_in_one_folder_have_the_columns_of_both(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    ledger.write(record("C", 0, head_acc=60.0, final_acc=60.0))
    ledger.write({**record("mirror", 0, final_acc=94.0, train_seconds=3.9), "trainable": "trainables.airbench"})
    headings = [column.heading for column in summary_table(Results.read(ledger.folder)).columns]
    assert headings == ["experiment", "n", "head_acc", "final_acc", "train_seconds"]


def test_declarations_join_those_of_earlier_sweeps_and_survive_damage(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    first, other = Declaration(name="a", trainables=("x",)), Declaration(name="b", trainables=("y",))
    write_declarations(ledger, [first])
    write_declarations(ledger, [other])
    write_declarations(ledger, [replace(first, columns=("loss",))])
    written = json.loads((ledger.folder / "families.json").read_text())
    assert [(entry["name"], entry["columns"]) for entry in written] == [("a", ["loss"]), ("b", [])]
    (ledger.folder / "families.json").write_text("[")
    write_declarations(ledger, [first])
    assert [entry["name"] for entry in json.loads((ledger.folder / "families.json").read_text())] == ["a"]


def test_a_damaged_declaration_is_named_and_the_rest_reported(tmp_path, capsys):
    ledger = open_ledger(tmp_path / "results")
    ledger.write(record("C", 0, head_acc=60.0))
    (ledger.folder / "families.json").write_text(json.dumps([{"name": "own", "trainables": [3]}]))
    assert main([str(ledger.folder)]) == 0
    shown = capsys.readouterr().out
    assert "family 'own' has no trainables, left out" in shown
    assert "60.00" in shown


def test_every_family_is_read_as_it_was_written(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    declared = [one.declaration for one in families()]
    write_declarations(ledger, declared)
    ledger.write(record("C", 0, head_acc=60.0))
    read = Results.read(ledger.folder).families
    assert list(read[: len(declared)]) == declared


def test_a_copy_of_a_folder_is_answered_alike(tmp_path, folder):
    """The declarations lie in the folder: analysis needs no search space to read them."""
    records = [run_of(name, i, v) for name, vs in (("sgd", SGD), ("adam", ADAM)) for i, v in enumerate(vs)]
    shutil.copytree(folder(records, DIFFERENCE).location, tmp_path / "elsewhere")
    (v,) = verdicts(Results.read(tmp_path / "elsewhere"))
    assert (v.answer, v.unit) == ("yes", "nats")
    assert not pd.isna(v.p)
