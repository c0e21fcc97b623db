"""Folders of images against torchvision's ImageFolder; what is wrong with a folder is said by name."""

import hashlib
import io
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from PIL import Image

from tests.conftest import real_data
from tests.trainables import odd_data
from trainables.data import batches, decoding
from trainables.data.catalog import DataError, locate
from trainables.data.decoding import decode, read_file
from trainables.data.loading import FileImages, load
from trainables.distributed import Workers

ALL = {"train_size": 1.0, "val_split": 0.0, "seed": 42}
ALONE = Workers(rank=0, world_size=1, device=torch.device("cpu"))


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


def pixel_sums(images):
    """What tells images apart, in any order."""
    return sorted(int(decoding.evaluation_crop(read_file(path), 32, name=path).sum()) for path in images.paths)


@pytest.mark.parametrize("name", odd_data.FOLDERS)
def test_names_that_are_no_data_or_no_text_change_no_image(tmp_path, name):
    make, left_out = odd_data.FOLDERS[name]
    info = locate("imagefolder", str(make(tmp_path / "data")), image_size=32)
    plain = locate("imagefolder", str(odd_data.image_folders(tmp_path / "plain")), image_size=32)
    assert (info.n_train, info.n_test, info.num_classes, info.left_out) == (40, 16, 2, left_out)
    for images, expected in zip(load(info, **ALL), load(plain, **ALL), strict=True):
        assert pixel_sums(images) == pixel_sums(expected)
        assert images.labels.tolist() == expected.labels.tolist()
    assert (info.fingerprint() == plain.fingerprint()) == (not name.startswith("latin1"))
    counted = f"; entries left out (they begin with a dot, or are __MACOSX): {left_out}" if left_out else ""
    assert info.summary() == f"images: 40 in train, 16 in val; 2 classes{counted}"


def test_fingerprints_of_sound_folders_stay_as_they_are(tmp_path):
    split = locate("imagefolder", str(odd_data.image_folders(tmp_path / "split")), image_size=32)
    names = [f"{label}/{i}.jpg" for n in (20, 8) for label in ("cat", "dog") for i in range(n)]
    text = "\n".join(["imagefolder", "folders", "cat", "dog", *sorted(names)])
    assert split.fingerprint() == hashlib.sha256(text.encode()).hexdigest()[:16] == "7f580a30d0259cb1"
    assert locate("digits", None).fingerprint() == "5242df42525b22cc"


@pytest.mark.data
def test_fingerprints_of_real_data_stay_as_they_are():
    assert locate("cifar10", str(real_data("cifar10"))).fingerprint() == "9ebadd0682746907"


def test_names_are_told_in_printable_text(tmp_path):
    root = os.fsencode(odd_data.image_folders(tmp_path))
    file = root + b"/train/cat/caf\xe9\n.jpg"
    os.rename(root + b"/train/cat/0.jpg", file)
    with open(file, "wb") as stream:
        stream.write(b"not an image")
    info = locate("imagefolder", str(tmp_path), image_size=32)
    source = batches.Batches(info, load(info, **ALL)[0], global_batch_size=8, workers=ALONE, augment=False, seed=0)
    with pytest.raises(DataError) as error:
        list(source.validation())
    said = r"train/cat/caf\xe9\n.jpg cannot be read as an image (its format is not known)"
    assert str(error.value) == f"{tmp_path}/{said}"
    os.rename(root + b"/val/dog", root + b"/val/d\xf6g")
    with pytest.raises(DataError, match=r"val/d\\xf6g is a class without training images"):
        locate("imagefolder", str(tmp_path), image_size=32)


def test_a_class_that_is_a_broken_link_is_named(tmp_path):
    odd_data.image_folders(tmp_path)
    (tmp_path / "train" / "fox").symlink_to("/gone/away")
    with pytest.raises(DataError, match="train/fox is a link to /gone/away, which is not there"):
        locate("imagefolder", str(tmp_path), image_size=32)


def test_class_folders_that_are_links_are_read(tmp_path):
    odd_data.image_folders(tmp_path / "real")
    for split in ("train", "val"):
        (tmp_path / "data" / split).mkdir(parents=True)
        for name in ("cat", "dog"):
            (tmp_path / "data" / split / name).symlink_to(tmp_path / "real" / split / name)
    linked, real = (locate("imagefolder", str(tmp_path / name), image_size=32) for name in ("data", "real"))
    assert linked.fingerprint() == real.fingerprint()


def test_a_pipe_among_the_images_stops_the_run_by_name(tmp_path):
    odd_data.image_folders(tmp_path)
    os.mkfifo(tmp_path / "train" / "cat" / "pipe.jpg")
    with pytest.raises(DataError, match=r"pipe.jpg cannot be read as an image \(it is empty\)"):
        pixel_sums(load(locate("imagefolder", str(tmp_path), image_size=32), **ALL)[0])


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
