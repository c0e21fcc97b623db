import io
import random
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from trainables.data import decoding
from trainables.data.batches import Batches
from trainables.data.catalog import DataError, locate
from trainables.data.loading import load
from trainables.distributed import Workers


def saved(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width=330, height=280):
    rng = np.random.RandomState(0)
    small = Image.fromarray(rng.randint(0, 256, (12, 15, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6  # by 90 degrees
    return saved(picture(), exif=exif)


def corrupted():
    content = bytearray(saved(picture(), quality=90))
    content[len(content) // 2 : len(content) // 2 + 4] = bytes(4)
    return bytes(content)


FILES = {
    "4:4:4": saved(picture(), subsampling=0),
    "4:2:2": saved(picture(), subsampling=1),
    "4:2:0": saved(picture(), subsampling=2),
    "progressive": saved(picture(), progressive=True),
    "restart markers": saved(picture(), restart_marker_rows=1),
    "grey": saved(picture().convert("L")),
    "cmyk": saved(picture().convert("CMYK")),
    "palette": saved(picture().convert("P"), "PNG"),
    "16 bit": saved(Image.fromarray(np.arange(60_000, dtype=np.uint16).reshape(200, 300)), "PNG"),
    "one pixel wide": saved(picture(1, 200)),
    "rotated": rotated(),
    "corrupted": corrupted(),
    "bytes after the end": saved(picture()) + b"more",
}


@pytest.mark.parametrize("name", FILES)
def test_training_crops_are_pillows(name):
    image = decoding.decode(FILES[name], name=name)
    for seed in range(20):
        ours = decoding.training_crop(FILES[name], 64, random.Random(seed), name=name)
        top, left, h, w = decoding.crop_box(*image.size, random.Random(seed))
        crop = image.crop((left, top, left + w, top + h)).resize((64, 64), Image.Resampling.BILINEAR)
        assert np.abs(ours - np.asarray(crop).astype(int)).mean() < 0.5


@pytest.mark.parametrize("name", FILES)
def test_evaluation_images_are_torchvisions(name):
    standard = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(56)])
    expected = np.asarray(standard(decoding.decode(FILES[name], name=name))).astype(int)
    ours = decoding.evaluation_crop(FILES[name], 56, name=name)
    assert ours.shape == (56, 56, 3)
    assert np.abs(ours - expected).mean() < 0.5


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_rows_above_the_end_are_those_of_the_whole_image(subsampling):
    data = saved(picture(), subsampling=subsampling)
    whole = np.asarray(decoding.decode(data, name=""))
    for rows in range(1, 281, 7):
        part = decoding._decode_rows(data, 280, 330, rows, "")
        np.testing.assert_array_equal(part[:rows], whole[:rows])
        assert len(part) == min(280, rows + 16)


@pytest.mark.parametrize("data", [FILES["4:2:0"][:3000], FILES["progressive"][:-2], b"", b"text", b"\xff\xd8\xff\xd9"])
def test_files_that_pillow_cannot_read_are_named(data):
    with pytest.raises(DataError, match=r"^some\.JPEG cannot be read as an image") as error:
        decoding.training_crop(data, 64, random.Random(0), name="some.JPEG")
    assert "BytesIO" not in str(error.value)


@pytest.fixture
def info(tmp_path):
    for split in ("train", "val"):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(15):
                (tmp_path / split / label / f"{i}.JPEG").write_bytes(saved(picture(60 + i, 50)))
    return locate("imagenet", str(tmp_path), image_size=32)


def batches(info, num_loaders):
    train = load(info, train_size=1.0, val_split=0.0, seed=0)[0]
    alone = Workers(rank=0, world_size=1, device=torch.device("cpu"))
    return Batches(info, train, global_batch_size=4, workers=alone, augment=True, seed=0, num_loaders=num_loaders)


def test_augmentation_does_not_depend_on_the_number_of_loaders(info):
    one, several = (torch.cat([x.clone() for x, *_ in batches(info, n).training("head", 1)]) for n in (1, 3))
    assert torch.equal(one, several)


def test_no_thread_stays_when_the_consumer_stops_early(info):
    before = threading.active_count()
    for x, _, _ in batches(info, 3).training("head", 1):
        assert x.shape == (4, 3, 32, 32)
        break
    assert threading.active_count() == before
