import io
import math
import pickle
import urllib.error
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from PIL import Image
from scipy.ndimage import map_coordinates
from sklearn.datasets import load_digits

from tests.conftest import real_data
from trainables.data import batches
from trainables.data.catalog import DataError, locate
from trainables.data.decoding import decode, read_file
from trainables.data.loading import FileImages, TensorImages, load
from trainables.data.subset import held_out_split, stratified_subset
from trainables.distributed import Workers

ALL = {"train_size": 1.0, "val_split": 0.0, "seed": 42}
ALONE = Workers(rank=0, world_size=1, device=torch.device("cpu"))


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


# Subsets


@pytest.mark.parametrize("size", [0.1, 0.29, 0.5, 40, 7])
def test_subset_follows_the_rule(size):
    labels = np.random.RandomState(0).randint(0, 7, 400)
    rng, expected = np.random.RandomState(3), []
    for label in range(7):
        members = np.where(labels == label)[0]
        count = math.floor(size * len(members) if size < 1 else Fraction(size, 400) * len(members))
        expected.extend(rng.choice(members, max(1, count), replace=False))
    np.testing.assert_array_equal(stratified_subset(labels, size, 3), expected)


def test_subset_of_everything_keeps_the_order_and_too_many_are_refused():
    labels = np.array([1, 0, 1, 0])
    np.testing.assert_array_equal(stratified_subset(labels, 1.0, 5), [0, 1, 2, 3])
    with pytest.raises(DataError, match="train_size=5 is more than the 4"):
        stratified_subset(labels, 5, 0)


def test_held_out_images_are_not_trained_on():
    labels = np.repeat(np.arange(10), 50)
    kept, held_out = held_out_split(labels, 0.1, 0)
    assert sorted([*kept, *held_out]) == list(range(500))
    np.testing.assert_array_equal(np.bincount(labels[held_out]), [5] * 10)


# Digits


def test_digits_are_scikit_learns():
    info = locate("digits", None)
    train, test = load(info, **ALL)
    assert isinstance(train, TensorImages)
    assert isinstance(test, TensorImages)
    assert (len(train), len(test)) == (info.n_train, 359)
    source = load_digits()
    np.testing.assert_array_equal(test.labels, source.target[4::5])
    # Linear interpolation by scipy, with the pixels' centres in place and the border repeated.
    at = (np.arange(32) + 0.5) / 4 - 0.5
    for image, expected in zip(test.pixels[:5], source.images[4::5], strict=False):
        large = map_coordinates(expected, np.meshgrid(at, at, indexing="ij"), order=1, mode="nearest")
        for channel in image:
            np.testing.assert_allclose(channel, large * 255 / 16, atol=0.5001)
    pixels = train.pixels.float() / 255
    assert pixels.mean().item() == pytest.approx(info.mean[0], abs=1e-3)
    assert pixels.std().item() == pytest.approx(info.std[0], abs=1e-3)


# CIFAR


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


# Folders


def jpeg_variants(source: Image.Image) -> dict[str, bytes]:
    """One picture as the odd files that ImageNet holds."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees
    saved = {}
    for name, image, kind, more in (
        ("rgb.JPEG", source, "JPEG", {}),
        ("grey.JPEG", source.convert("L"), "JPEG", {}),
        ("cmyk.JPEG", source.convert("CMYK"), "JPEG", {}),
        ("png.JPEG", source, "PNG", {}),
        ("palette.png", source.convert("P"), "PNG", {}),
        ("alpha.png", source.convert("RGBA"), "PNG", {}),
        ("rotated.JPEG", source, "JPEG", {"exif": exif}),
    ):
        stream = io.BytesIO()
        image.save(stream, kind, **more)
        saved[name] = stream.getvalue()
    return saved


@pytest.fixture
def folders(tmp_path):
    """train/ and val/ with two classes and the odd files among them."""
    rng = np.random.RandomState(0)
    source = Image.fromarray(rng.randint(0, 256, (40, 50, 3), np.uint8))
    for split in ("train", "val"):
        for label in ("n01", "n02"):
            home = tmp_path / split / label
            home.mkdir(parents=True)
            for name, content in jpeg_variants(source).items():
                (home / name).write_bytes(content)
    return tmp_path


def test_folders_load_as_imagefolder_does(folders):
    info = locate("imagenet", str(folders), image_size=32)
    train, val = load(info, **ALL)
    assert isinstance(train, FileImages)
    expected = torchvision.datasets.ImageFolder(folders / "train")
    assert train.paths == [path for path, _ in expected.samples]
    assert train.labels.tolist() == [label for _, label in expected.samples]
    for path, (image, _) in zip(train.paths, expected, strict=True):
        np.testing.assert_array_equal(decode(read_file(path), name=path), image)
    transform = torchvision.transforms.Compose(
        [torchvision.transforms.Resize(37), torchvision.transforms.CenterCrop(32), torchvision.transforms.ToTensor()]
    )
    source = batches.Batches(info, val, global_batch_size=4, workers=ALONE, augment=False, seed=0, num_loaders=1)
    pixels = torch.cat([x.clone() for x, _ in source.validation()])
    mean, std = (torch.tensor(v)[:, None, None] for v in (info.mean, info.std))
    reference = torchvision.datasets.ImageFolder(folders / "val", transform)
    expected_pixels = torch.stack([(image - mean) / std for image, _ in reference])
    assert (pixels - expected_pixels).abs().mean() < 0.5 / 255 / max(info.std)


@pytest.mark.parametrize(("name", "content"), [("cut.JPEG", None), ("text.JPEG", b"not an image"), ("empty.JPEG", b"")])
@pytest.mark.parametrize("num_loaders", [1, 3])
def test_an_unreadable_file_stops_the_run_by_name(folders, name, content, num_loaders):
    whole = (folders / "train" / "n01" / "rgb.JPEG").read_bytes()
    file = folders / "train" / "n02" / name
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    info = locate("imagenet", str(folders), image_size=32)
    train, _ = load(info, **ALL)
    source = batches.Batches(
        info, train, global_batch_size=4, workers=ALONE, augment=True, seed=0, num_loaders=num_loaders
    )
    with pytest.raises(DataError) as error:
        list(source.training("head", 1))
    assert str(error.value).startswith(f"{file} cannot be read as an image")
    assert "\n" not in str(error.value)


def test_folder_errors_name_the_folder(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="val is missing"):
        locate("imagenet", str(tmp_path))
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match="train holds no class folders"):
        locate("imagenet", str(tmp_path))
    for split, label in (("train", "a"), ("train", "b"), ("val", "a"), ("val", "c")):
        (tmp_path / split / label).mkdir(exist_ok=True)
    with pytest.raises(DataError, match="val/c is a class without training images"):
        locate("imagenet", str(tmp_path))
    (tmp_path / "val" / "c").rmdir()
    with pytest.raises(DataError, match="val/a holds no images"):
        locate("imagenet", str(tmp_path))
    (tmp_path / "val").rename(tmp_path / "elsewhere")
    for dataset in ("imagenet", "imagefolder"):
        with pytest.raises(DataError, match="val is missing"):
            locate(dataset, str(tmp_path))


def test_a_folder_of_classes_is_split(folders):
    info = locate("imagefolder", str(folders / "train"), image_size=16)
    train, val = load(info, **ALL)
    assert len(train) + len(val) == 14
    assert len(val) == 2
    assert not set(train.paths) & set(val.paths)


@pytest.mark.data
def test_real_imagenet_files_load_as_imagefolder_loads_them(tmp_path):
    file = real_data("imagenet_sample") / "sample.parquet"
    rows = pq.ParquetFile(file).read_row_group(0).to_pylist()[:40]
    for row in rows:
        home = tmp_path / "train" / row["wnid"]
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{row['label']}.JPEG").write_bytes(row["image"]["bytes"])
    expected = torchvision.datasets.ImageFolder(tmp_path / "train")
    modes = set()
    for path, _ in expected.samples:
        with Image.open(path) as image:
            modes.add(image.mode)
        np.testing.assert_array_equal(decode(read_file(path), name=path), torchvision.datasets.folder.pil_loader(path))
    assert modes >= {"RGB"}
