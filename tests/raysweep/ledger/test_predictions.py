"""What is kept of runs image by image, in a folder and in an object store, and what is refused."""

import numpy as np
import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.predictions import PredictionsError, keep_predictions, read_labels, read_predictions
from tests.raysweep.ledger.recorded import record

RUN, OTHER = "C-s42-01234567", "A-s42-89abcdef"
DRAW = np.random.default_rng(0)


def left(folder, classes, labels, **more):
    """A file as a trainable leaves it."""
    file = folder / "predictions.npz"
    np.savez(file, classes=classes, labels=labels, **{"metrics": ["final_acc"], "images": "test set", **more})
    return file


def scored(classes, labels):
    return {"final_acc": 100 * int((np.asarray(classes) == np.asarray(labels)).sum()) / len(labels)}


def some_predictions(n_images, n_classes, accuracy, draw=DRAW):
    labels = draw.integers(0, n_classes, n_images)
    wrong = (labels + draw.integers(1, n_classes, n_images)) % n_classes
    return np.where(draw.random(n_images) < accuracy, labels, wrong), labels


@pytest.fixture(params=["folder", "object store"])
def location(request, tmp_path):
    return tmp_path / "results" if request.param == "folder" else request.getfixturevalue("url")


def test_what_a_run_left_is_read_elsewhere_and_goes_with_its_record(location, tmp_path):
    ledger, elsewhere = (open_ledger(location, tmp_path / name) for name in ("one", "other"))
    classes, labels = some_predictions(500, 10, 0.6)
    file = left(tmp_path, classes, labels)
    images = {
        keep_predictions(ledger.store, run, file, data="d", results=scored(classes, labels)) for run in (RUN, OTHER)
    }
    assert len(images) == 1
    kept = read_predictions(elsewhere.store, RUN)
    assert kept.classes.tolist() == classes.tolist()
    assert (kept.classes.dtype, kept.metrics, {kept.images}) == (np.uint8, ("final_acc",), images)
    assert read_labels(elsewhere.store, kept.images).tolist() == labels.tolist()
    ledger.write(record(RUN))
    elsewhere.remove(RUN)
    assert read_predictions(ledger.store, RUN) is None
    assert read_predictions(ledger.store, OTHER) is not None
    assert read_labels(ledger.store, kept.images).tolist() == labels.tolist(), "they belong to the other run as well"


@pytest.mark.parametrize("n_classes", [256, 257, 1000])
def test_more_than_256_classes_take_two_bytes(tmp_path, n_classes):
    store = open_ledger(tmp_path / "results").store
    classes = np.arange(n_classes)
    keep_predictions(store, RUN, left(tmp_path, classes, classes), data="d", results={"final_acc": 100.0})
    kept = read_predictions(store, RUN)
    assert kept.classes.dtype == (np.uint8 if n_classes == 256 else np.uint16)
    assert kept.classes.tolist() == list(range(n_classes))


def test_other_data_other_images_and_another_order_are_told_apart(tmp_path):
    store, (classes, labels) = open_ledger(tmp_path / "results").store, some_predictions(50, 10, 0.5)
    results = scored(classes, labels)

    def told(data="d", order=slice(None), **more):
        file = left(tmp_path, classes[order], labels[order], **more)
        return keep_predictions(store, RUN, file, data=data, results=results)

    others = [told(data="e"), told(images="held out, seed 1"), told(order=np.argsort(labels, kind="stable"))]
    assert len({told(), *others}) == 4
    assert told() == told()


def test_ten_thousand_runs_of_cifar_take_less_than_150_mb(tmp_path):
    """At 60 % right and errors of any kind, which compress least; on blocks of 4,096 bytes."""
    store, draw = open_ledger(tmp_path / "results").store, np.random.default_rng(1)
    labels = draw.permutation(np.repeat(np.arange(10), 1000))
    for seed in range(3):
        wrong = (labels + draw.integers(1, 10, 10_000)) % 10
        classes = np.where(draw.random(10_000) < 0.6, labels, wrong)
        file = left(tmp_path, classes, labels, metrics=["final_acc", "finetune_acc"])
        results = {name: value for name in ("final_acc", "finetune_acc") for value in scored(classes, labels).values()}
        keep_predictions(store, f"C-s{seed}-01234567", file, data="d", results=results)
    files = sorted((tmp_path / "results" / "predictions").iterdir())
    assert [file.name[:7] for file in files] == ["C-s0-01", "C-s1-01", "C-s2-01", "labels-"]
    assert all(-(-file.stat().st_size // 4096) * 4096 * 10_000 < 150e6 for file in files[:3])


def test_predictions_that_are_not_those_of_the_results_are_refused(tmp_path):
    store, (classes, labels) = open_ledger(tmp_path / "results").store, some_predictions(200, 10, 0.5)
    right = scored(classes, labels)

    def kept(results=right, classes=classes, labels=labels, **more):
        return keep_predictions(store, RUN, left(tmp_path, classes, labels, **more), data="d", results=results)

    with pytest.raises(PredictionsError, match=r"have an accuracy of \S+ %, final_acc is"):
        kept({"final_acc": right["final_acc"] + 0.5})
    with pytest.raises(PredictionsError, match="final_acc is nan"):
        kept({"final_acc": float("nan")})
    with pytest.raises(PredictionsError, match="final_acc is None"):
        kept({})
    with pytest.raises(PredictionsError, match="199 predictions for 200 test images"):
        kept(classes=classes[1:])
    with pytest.raises(PredictionsError, match="float64 of shape"):
        kept(classes=classes / 2)
    with pytest.raises(PredictionsError, match="from 0 to 65535"):
        kept(classes=classes - 5)
    with pytest.raises(PredictionsError, match="do not say of which results"):
        kept(metrics=np.array([], dtype=str))
    np.savez(tmp_path / "predictions.npz", classes=classes)
    with pytest.raises(PredictionsError, match="has no array 'labels'"):
        keep_predictions(store, RUN, tmp_path / "predictions.npz", data="d", results=right)
    assert read_predictions(store, RUN) is None
    kept({"final_acc": float(np.float32(right["final_acc"]))})


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_damaged_file_is_named(tmp_path, part):
    store, (classes, labels) = open_ledger(tmp_path / "results").store, some_predictions(200, 10, 0.5)
    file = left(tmp_path, classes, labels)
    images = keep_predictions(store, RUN, file, data="d", results=scored(classes, labels))
    for name, read in ((RUN, lambda: read_predictions(store, RUN)), (images, lambda: read_labels(store, images))):
        (there,) = (tmp_path / "results" / "predictions").glob(f"*{name}.npz")
        content = there.read_bytes()
        there.write_bytes(content[: int(part * len(content))])
        with pytest.raises(PredictionsError, match=f"predictions/.*{name}.npz is damaged"):
            read()


def test_a_run_without_them_has_none_and_one_that_repeats_its_result_keeps_those_it_had(tmp_path):
    """Its file is gone from its folder by then; what other results have left behind is not taken for them."""
    store, (classes, labels) = open_ledger(tmp_path / "results").store, some_predictions(200, 10, 0.5)
    results, nothing = scored(classes, labels), tmp_path / "runs" / "predictions.npz"
    assert keep_predictions(store, RUN, nothing, data="d", results=results) == ""
    images = keep_predictions(store, RUN, left(tmp_path, classes, labels), data="d", results=results)
    assert keep_predictions(store, RUN, nothing, data="d", results=results) == images
    with pytest.raises(PredictionsError, match="have an accuracy"):
        keep_predictions(store, RUN, nothing, data="d", results={"final_acc": 1.0})
