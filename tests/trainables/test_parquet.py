"""Tables of CIFAR's images: each layout that people have gives the same images, and what is wrong is said at once."""

import numpy as np
import pytest

from tests.trainables import odd_data
from trainables.data.catalog import DataError, described, locate
from trainables.data.counts import image_counts
from trainables.data.loading import load
from trainables.scattering import ScatteringConfig
from trainables.scattering.preflight import check

ALL = {"train_size": 1.0, "val_split": 0.0, "seed": 42}


def assert_images(images, first, n, num_classes=10):
    expected = np.stack([odd_data.pixels(i) for i in range(first, first + n)])
    np.testing.assert_array_equal(images.pixels.permute(0, 2, 3, 1), expected)
    assert images.labels.tolist() == odd_data.labels(first, n, num_classes)


@pytest.mark.parametrize("name", odd_data.SOUND)
def test_layouts_that_people_have_give_the_same_images(tmp_path, name):
    folder = odd_data.SOUND[name](tmp_path / "data")
    info = locate("cifar10", str(folder))
    train, test = load(info, **ALL)
    assert_images(train, 0, odd_data.N_TRAIN)
    assert_images(test, odd_data.N_TRAIN, odd_data.N_TEST)
    assert image_counts(info, train_size=1.0, val_split=0.0) == (60, 20)
    assert described(info, str(folder)) == f"cifar10 in {folder}; images: 60 in train, 20 in test; 10 classes"


def test_cifar100_is_found_beside_cifar10(tmp_path):
    info = locate("cifar100", str(odd_data.SOUND["beside_cifar100"](tmp_path / "data")))
    train, test = load(info, **ALL)
    assert_images(train, 500, 60, num_classes=100)
    assert_images(test, 600, 20, num_classes=100)


@pytest.mark.parametrize("name", odd_data.REFUSED)
def test_what_cannot_be_trained_on_is_refused_by_file_and_column(tmp_path, name):
    make, said = odd_data.REFUSED[name]
    folder = make(tmp_path / "data")
    with pytest.raises(DataError, match=said) as error:
        check(ScatteringConfig(dataset="cifar10", data_dir=str(folder)), 1)
    assert str(error.value).count("\n") == 0
    assert str(folder) in str(error.value)


def test_images_that_are_not_in_the_table_are_named_when_they_are_read(tmp_path):
    rows = [{"bytes": None, "path": "elsewhere.png"}, *odd_data.TEST["img"].to_pylist()[1:]]
    test = odd_data.TEST.set_column(0, "img", odd_data.pa.array(rows))
    info = locate("cifar10", str(odd_data.one_file_each(tmp_path / "data", test=test)))
    with pytest.raises(DataError, match=r"test-00000.*\(row 0\) cannot be read as an image \(it is empty\)$"):
        load(info, **ALL)


def test_two_homes_of_pickles_are_not_chosen_between(tmp_path):
    for name in ("a", "b"):
        odd_data.in_pickles(tmp_path / name)
    with pytest.raises(DataError, match=r"a/cifar-10-batches-py and .*b/cifar-10-batches-py both hold cifar10"):
        locate("cifar10", str(tmp_path))


def test_a_link_to_pickles_that_are_gone_starts_no_download(tmp_path):
    (tmp_path / "cifar-10-batches-py").symlink_to("/gone/away")
    with pytest.raises(DataError, match=r"cifar-10-batches-py is a link to /gone/away"):
        locate("cifar10", str(tmp_path))


def test_pickles_as_large_as_those_published_are_not_read_before_a_run(tmp_path):
    home = odd_data.in_pickles(tmp_path) / "cifar-10-batches-py"
    for file in home.iterdir():
        with file.open("r+b") as stream:
            stream.truncate(31_035_704)  # bytes of the published data_batch_1
    info = locate("cifar10", str(tmp_path))
    assert (info.n_train, info.n_test) == (50_000, 10_000)
    with pytest.raises(
        DataError, match=r"cifar-10-batches-py holds 60 train images, not the 50,000 of its files' sizes"
    ):
        load(info, **ALL)


def test_pickled_labels_are_those_of_the_classes(tmp_path):
    file = odd_data.in_pickles(tmp_path) / "cifar-10-batches-py" / "test_batch"
    content = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]}
    file.write_bytes(odd_data.pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=r"test_batch holds the label 10 \(row 1\), none of 0 to 9"):
        locate("cifar10", str(tmp_path))


def test_results_keep_images_classes_and_splits(tmp_path):
    facts = check(ScatteringConfig(dataset="cifar10", data_dir=str(odd_data.SOUND["hub"](tmp_path / "data"))), 1)
    kept = {name: facts[name] for name in ("n_train", "n_test", "splits", "num_classes")}
    assert kept == {"n_train": 60, "n_test": 20, "splits": "train, test", "num_classes": 10}
