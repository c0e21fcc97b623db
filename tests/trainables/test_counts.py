"""Images of a phase, counted without loading them, against what is loaded."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import ROOT, real_data
from trainables.airbench import ABLATIONS
from trainables.airbench.preflight import check as check_airbench
from trainables.data.batches import Batches
from trainables.data.catalog import DataError, locate
from trainables.data.counts import IMAGES_OF_EACH_DIGIT, image_counts, images_of_an_epoch
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig
from trainables.scattering.preflight import check


def test_the_digits_of_each_class_are_counted_right():
    labels = load_digits().target
    is_test = np.arange(len(labels)) % 5 == 4
    assert tuple(np.bincount(labels[~is_test])) == IMAGES_OF_EACH_DIGIT
    assert is_test.sum() == 359


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of three classes of unequal size, without validation images."""
    root = tmp_path_factory.mktemp("classes")
    for label, count in (("a", 7), ("b", 23), ("c", 12)):
        (root / label).mkdir()
        for i in range(count):
            Image.new("RGB", (8, 8)).save(root / label / f"{i}.png")
    return root


@pytest.mark.parametrize(("train_size", "val_split"), [*itertools.product((1.0, 0.5, 0.013, 9.0), (0.0, 0.1, 0.35))])
def test_counts_are_those_of_the_loaded_images(folder, train_size, val_split):
    for info in (locate("digits", None), locate("imagefolder", str(folder))):
        loaded = load(info, train_size=train_size, val_split=val_split, seed=3)
        counted = image_counts(info, train_size=train_size, val_split=val_split)
        assert counted == tuple(map(len, loaded))


@pytest.mark.data
def test_counts_of_cifar_are_those_of_the_loaded_images():
    info = locate("cifar10", str(real_data("cifar10")))
    for train_size, val_split in ((0.05, 0.0), (0.3, 0.1), (333.0, 0.0)):
        loaded = load(info, train_size=train_size, val_split=val_split, seed=3)
        assert image_counts(info, train_size=train_size, val_split=val_split) == tuple(map(len, loaded))


@pytest.mark.parametrize(
    ("images", "batch", "world"), [*itertools.product((3, 128, 129, 130, 131, 255), (32, 64), (1, 2))]
)
def test_an_epoch_trains_on_what_the_batches_hold(images, batch, world):
    info = locate("digits", None)
    chosen = load(info, train_size=1.0, val_split=0.0, seed=0)[0].first(images)
    workers = Workers(rank=0, world_size=world, device=torch.device("cpu"))
    options = {"global_batch_size": batch, "workers": workers, "augment": False, "seed": 0}
    try:
        expected = sum(size for *_, size in Batches(info, chosen, **options).training("head", 1))
    except DataError:
        with pytest.raises(DataError, match="too few"):
            images_of_an_epoch(images, global_batch_size=batch, world_size=world)
    else:
        assert images_of_an_epoch(images, global_batch_size=batch, world_size=world) == expected


def test_phases_say_epochs_images_and_whether_features_are_cached():
    config = ScatteringConfig(lr_epochs=30, epochs=5, patience=8, train_size=0.5)
    head, tuned = check(config, 1)["phases"]
    assert (head["epochs"], head["least_epochs"], head["cached"]) == (30, 9, True)
    assert (tuned["epochs"], tuned["least_epochs"], tuned["cached"]) == (5, 5, False)
    used = sum(count // 2 for count in IMAGES_OF_EACH_DIGIT)
    assert used % 128 >= 2
    assert head["train_images"] == tuned["train_images"] == used
    assert head["validation_images"] == tuned["validation_images"] == 359
    assert (head["validation_images_once"], tuned["validation_images_once"]) == (0, 359)
    uncached = ScatteringConfig(feature_cache_gb=0.001)
    assert check(uncached, 1)["phases"][0]["cached"] is False
    (joint,) = check(ScatteringConfig(joint=True, epochs=3), 1)["phases"]
    assert (joint["phase"], joint["validation_images_once"]) == ("joint", 0)


def test_a_timed_run_counts_whole_batches_and_evaluates_once():
    config = ABLATIONS["mirror"]
    (phase,) = check_airbench(config, 1)["phases"]
    assert phase["train_images"] * phase["epochs"] == 1024 * 10, "one batch of 1024 from 1438 digits, 9.9 times"
    assert (phase["validation_images"], phase["validation_images_once"]) == (0, 6 * 359)


def test_counting_loads_no_torch():
    code = (
        "import sys; from trainables.scattering.preflight import check; from trainables.scattering import "
        "ScatteringConfig; check(ScatteringConfig(), 1); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
