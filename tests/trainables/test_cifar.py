"""CIFAR from both layouts of its files; what is wrong with a file is said by name."""

import io
import pickle
import urllib.error

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from PIL import Image

from tests.conftest import real_data
from trainables.data.catalog import DataError, locate
from trainables.data.loading import load
from trainables.data.subset import stratified_subset

ALL = {"train_size": 1.0, "val_split": 0.0, "seed": 42}


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def cifar_arrays():
    rng = np.random.RandomState(0)
    return {
        split: (rng.randint(0, 256, (n, 32, 32, 3), np.uint8), rng.randint(0, 10, n))
        for split, n in (("train", 60), ("test", 20))
    }


def write_parquet(folder, arrays, label="label"):
    for split, (pixels, labels) in arrays.items():
        rows = [{"bytes": png(image), "path": f"{i}.png"} for i, image in enumerate(pixels)]
        table = pa.table({"img": rows, label: pa.array(labels, pa.int64())})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet", row_group_size=16)


def write_torchvision(folder, arrays, label=b"labels", names=None):
    """As the University of Toronto's files are: pickles of Python 2 with bytes for keys."""
    folder.mkdir()
    (train, train_labels), (test, test_labels) = arrays["train"], arrays["test"]
    names = names or [f"data_batch_{i}" for i in range(1, 6)]
    parts = np.array_split(np.arange(len(train)), len(names))
    files = {name: (train[part], train_labels[part]) for name, part in zip(names, parts, strict=True)}
    files["test_batch" if len(names) > 1 else "test"] = (test, test_labels)
    for name, (pixels, labels) in files.items():
        content = {b"data": pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1), label: labels.tolist()}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("layout", ["parquet", "torchvision"])
def test_cifar10_from_both_layouts(tmp_path, cifar_arrays, layout):
    if layout == "parquet":
        write_parquet(tmp_path, cifar_arrays)
    else:
        write_torchvision(tmp_path / "cifar-10-batches-py", cifar_arrays)
    info = locate("cifar10", str(tmp_path))
    assert info.layout == layout
    train, test = load(info, **ALL)
    for images, (pixels, labels) in ((train, cifar_arrays["train"]), (test, cifar_arrays["test"])):
        np.testing.assert_array_equal(images.pixels.permute(0, 2, 3, 1), pixels)
        np.testing.assert_array_equal(images.labels, labels)
    part, _ = load(info, train_size=0.5, val_split=0.0, seed=1)
    chosen = stratified_subset(cifar_arrays["train"][1], 0.5, 1)
    np.testing.assert_array_equal(part.pixels[part.index].permute(0, 2, 3, 1), cifar_arrays["train"][0][chosen])
    np.testing.assert_array_equal(part.labels, cifar_arrays["train"][1][chosen])


@pytest.mark.parametrize("layout", ["parquet", "torchvision"])
def test_cifar100_has_fine_labels(tmp_path, cifar_arrays, layout):
    if layout == "parquet":
        write_parquet(tmp_path, cifar_arrays, label="fine_label")
    else:
        write_torchvision(tmp_path / "cifar-100-python", cifar_arrays, label=b"fine_labels", names=["train"])
    info = locate("cifar100", str(tmp_path))
    assert info.num_classes == 100
    train, _ = load(info, **ALL)
    np.testing.assert_array_equal(train.labels, cifar_arrays["train"][1])


class Intruder:
    def __reduce__(self):
        return (print, ("executed",))


def test_pickles_hold_arrays_and_nothing_else(tmp_path, cifar_arrays, capsys):
    write_torchvision(tmp_path / "cifar-10-batches-py", cifar_arrays)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(pickle.dumps({b"data": Intruder(), b"labels": []}))
    with pytest.raises(DataError, match=r"data_batch_3 is not a CIFAR file.*has no place"):
        load(locate("cifar10", str(tmp_path)), **ALL)
    assert "executed" not in capsys.readouterr().out


def test_cifar_is_downloaded_where_there_is_a_network(tmp_path, cifar_arrays, monkeypatch):
    def no_network(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", no_network)
    with pytest.raises(DataError, match=r"no cifar10 in .*neither cifar-10-batches-py/ .*downloaded .*no network"):
        locate("cifar10", str(tmp_path))

    def network(url, root, *, filename, md5):
        write_torchvision(root / "cifar-10-batches-py", cifar_arrays)

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", network)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_load_meta", lambda self: None)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda path, md5: False)
    with pytest.raises(DataError, match="could not be downloaded"):  # torchvision checks what it has fetched
        locate("cifar10", str(tmp_path))
    assert locate("cifar10", str(tmp_path)).layout == "torchvision"


def test_missing_and_foreign_cifar_files_are_named(tmp_path, cifar_arrays):
    with pytest.raises(DataError, match="nowhere does not exist"):
        locate("cifar10", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="is empty"):
        locate("imagefolder", str(tmp_path))
    write_parquet(tmp_path, cifar_arrays)
    with pytest.raises(DataError, match="expected img and fine_label"):
        locate("cifar100", str(tmp_path))
    (tmp_path / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"no test\*.parquet"):
        locate("cifar10", str(tmp_path))


def test_a_damaged_parquet_image_is_named(tmp_path, cifar_arrays):
    write_parquet(tmp_path, cifar_arrays)
    table = pq.read_table(tmp_path / "test-00000-of-00001.parquet").to_pylist()
    table[13]["img"]["bytes"] = table[13]["img"]["bytes"][:50]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"test-00000-of-00001.parquet \(row 13\) cannot be read as an image"):
        load(locate("cifar10", str(tmp_path)), **ALL)


@pytest.mark.data
def test_real_cifar10():
    info = locate("cifar10", str(real_data("cifar10")))
    train, test = load(info, train_size=0.05, val_split=0.0, seed=42)
    assert (len(train), len(test)) == (2500, 10_000)
    assert torch.bincount(train.labels).tolist() == [250] * 10
    assert test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]  # the well-known first test images
    pixels = test.pixels.float() / 255
    for value, expected in zip(pixels.mean((0, 2, 3)), info.mean, strict=True):
        assert value.item() == pytest.approx(expected, abs=0.005)
