import random
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import load_digits
from torchvision.transforms.functional import normalize

from trainables.data import batches
from trainables.data.catalog import locate
from trainables.data.decoding import crop_box
from trainables.data.draws import hashed_generator
from trainables.data.loading import load
from trainables.distributed import Workers

ALL = {"train_size": 1.0, "val_split": 0.0, "seed": 42}
ALONE = Workers(rank=0, world_size=1, device=torch.device("cpu"))


def digit_batches(world_size=1, rank=0, batch=128, augment=True, seed=0):
    info = locate("digits", None)
    train, test = load(info, **ALL)
    workers = Workers(rank=rank, world_size=world_size, device=torch.device("cpu"))
    options = {"global_batch_size": batch, "workers": workers, "seed": seed}
    return (
        batches.Batches(info, train, augment=augment, **options),
        batches.Batches(info, test, augment=False, **options),
    )


def test_order_and_augmentation_depend_on_seed_phase_and_epoch_alone():
    def first(seed, phase, epoch):
        return next(digit_batches(seed=seed)[0].training(phase, epoch))

    reference = first(0, "head", 3)
    again = first(0, "head", 3)
    assert torch.equal(reference[0], again[0])
    assert torch.equal(reference[1], again[1])
    for other in (first(1, "head", 3), first(0, "finetune", 3), first(0, "head", 4)):
        assert not torch.equal(reference[0], other[0])


@pytest.mark.parametrize("augment", [False, True])
def test_workers_share_each_global_batch(augment):
    whole = list(digit_batches(augment=augment)[0].training("head", 1))
    shares = [list(digit_batches(2, rank, augment=augment)[0].training("head", 1)) for rank in range(2)]
    for step, (x, labels, size) in enumerate(whole):
        parts = [share[step] for share in shares]
        assert torch.equal(torch.cat([part[0] for part in parts]), x)
        assert torch.equal(torch.cat([part[1] for part in parts]), labels)
        assert size == len(x) == parts[0][2] == parts[1][2]
    assert sum(size for *_, size in whole) == 1438


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_validation_counts_every_image_once(world_size):
    labels = [
        label
        for rank in range(world_size)
        for _, part in digit_batches(world_size, rank, batch=14 * world_size)[1].validation()
        for label in part.tolist()
    ]
    assert sorted(labels) == sorted(load_digits().target[4::5].tolist())


def test_a_last_batch_too_small_for_batch_norm_is_left_out():
    # 1438 images: batches of 479 leave one over, of 128 thirty.
    assert [size for *_, size in digit_batches(batch=479)[0].training("head", 1)] == [479, 479, 479]
    assert [size for *_, size in digit_batches(batch=128)[0].training("head", 1)][-1] == 30


def test_crops_and_flips():
    pixels = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(batches.padded_crop(pixels, torch.full((3, 2), batches.CROP_PADDING)), pixels)
    padded = torch.nn.functional.pad(pixels, (batches.CROP_PADDING,) * 4)
    shifts = torch.tensor([[0, 0], [8, 3], [1, 7]])
    for cropped, whole, (top, left) in zip(batches.padded_crop(pixels, shifts), padded, shifts.tolist(), strict=True):
        assert torch.equal(cropped, whole[:, top : top + 8, left : left + 8])
    for layout in (torch.contiguous_format, torch.channels_last):
        some = batches.mirror(pixels.clone(memory_format=layout), torch.tensor([True, False, True]))
        assert torch.equal(some, torch.stack([pixels[0].flip(-1), pixels[1], pixels[2].flip(-1)]))


def test_batches_are_the_images_cropped_mirrored_and_normalised():
    """Against one image after the other, with the documented draws."""
    info = replace(locate("digits", None), flip=True, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    images = load(info, train_size=0.5, val_split=0.0, seed=1)[0]
    source = batches.Batches(info, images, global_batch_size=64, workers=ALONE, augment=True, seed=7)
    x, labels, _ = next(source.training("head", 2))
    n = len(images)
    order = torch.randperm(n, generator=hashed_generator(7, "head", 2, "order"))
    generator = hashed_generator(7, "head", 2, "augmentation")
    shifts, draws = torch.randint(0, 9, (n, 2), generator=generator), torch.rand(n, generator=generator)
    for row, (image, i) in enumerate(zip(x, order[:64].tolist(), strict=True)):
        top, left = shifts[i].tolist()
        crop = torch.nn.functional.pad(images.pixels[images.index[i]], (4,) * 4)[:, top : top + 32, left : left + 32]
        expected = normalize((crop.flip(-1) if draws[i] < 0.5 else crop) / 255, info.mean, info.std)
        torch.testing.assert_close(image, expected)
        assert labels[row] == images.labels[i]


@pytest.mark.parametrize("flip", [False, True])
def test_small_images_that_stay_on_a_device_are_those_read_on_the_cpu_bit_by_bit(flip):
    info = replace(locate("digits", None), flip=flip)
    images = load(info, train_size=0.5, val_split=0.0, seed=1)[0]
    images = replace(images, pixels=torch.randint(0, 256, images.pixels.shape, dtype=torch.uint8))
    source = batches.Batches(info, images, global_batch_size=64, workers=ALONE, augment=True, seed=7)
    usual = [(x.clone(), labels, size) for x, labels, size in source.training("head", 2)]
    source._source = batches._DeviceSource(images, ALONE.device, flip=flip)
    for first in (0, 3, len(usual)):
        found = list(source.training("head", 2, first))
        assert len(found) == len(usual) - first
        for (x, labels, size), (expected, their_labels, their_size) in zip(found, usual[first:], strict=True):
            assert torch.equal(x, expected)
            assert torch.equal(labels, their_labels)
            assert size == their_size
    (expected, _), *_ = usual_validation = list(source.validation())
    source._source = batches._TensorSource(images)
    assert len(usual_validation) == len(list(source.validation()))
    assert torch.equal(next(source.validation())[0], expected)


def test_random_resized_crop_draws_torchvisions_areas():
    seen = []
    for i in range(1500):
        seen.append(crop_box(100, 80, random.Random(i)))
    torch.manual_seed(0)
    get = torchvision.transforms.RandomResizedCrop.get_params
    theirs = [get(torch.empty(3, 80, 100), [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(1500)]
    for ours, other in zip(zip(*seen, strict=True), zip(*theirs, strict=True), strict=True):
        assert np.mean(ours) == pytest.approx(np.mean(other), rel=0.08)
        assert np.std(ours) == pytest.approx(np.std(other), rel=0.1)
    assert crop_box(1, 300, random.Random(0)) == (149, 0, 1, 1)  # no draw fits into such an image
