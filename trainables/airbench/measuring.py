"""Measures how fast a run will be on this device, by a few real steps and a part of the evaluation."""

import time
from dataclasses import replace

import torch

from trainables.airbench.augmentation import augmented, epoch_flips, epoch_shifts
from trainables.airbench.config import AirbenchConfig
from trainables.airbench.evaluation import TEST_BATCH, accuracy
from trainables.airbench.warm_setup import WarmSetup
from trainables.data.catalog import locate_here
from trainables.distributed import Workers

TRAINING_SECONDS = 4.0
"""Seconds after which no more steps are taken, once there were LEAST_STEPS."""
LEAST_STEPS = 2


def measure(config: AirbenchConfig, num_workers: int) -> dict[str, float]:
    """Rates and durations under the names that results have for them, from real steps on the run's own data.

    One process does what one of `num_workers` would, and rates count the images of all: communication between workers
    is left out. Raises DataError, and MemoryError or torch.OutOfMemoryError for want of memory.
    """
    started = time.perf_counter()
    share = replace(config, batch_size=config.batch_size // num_workers)
    setup = WarmSetup(share, locate_here(config.dataset, config.data_dir), Workers.current())
    setup.fresh_net(share)
    setup_seconds = time.perf_counter() - started
    for_each_image = _training_seconds(setup, share)
    return {
        "setup_seconds": setup_seconds,
        "train_images_per_second": num_workers / for_each_image,
        "train_validation_images_per_second": num_workers * config.views * _evaluated_per_second(setup, config),
    }


def _training_seconds(setup: WarmSetup, config: AirbenchConfig) -> float:
    """Seconds for each image: of the augmentation of an epoch, and of some steps."""
    n = len(setup.images)
    started = time.perf_counter()
    flips = epoch_flips(n, config.flip, seed=config.seed, epoch=0)
    pixels = augmented(setup.images.pixels, flips, epoch_shifts(n, config.translate, seed=config.seed, epoch=0))
    for_each_image = (time.perf_counter() - started) / n
    order = torch.arange(n, device=pixels.device)
    taken, started = 0, time.perf_counter()
    while taken < LEAST_STEPS or time.perf_counter() - started < TRAINING_SECONDS:
        in_run = taken % config.total_steps(n)
        in_epoch = in_run % (n // config.batch_size)
        if in_run == 0:
            steps = setup.steps(config)
        if in_epoch == 0:
            steps.begin_epoch(pixels, order)
        steps.take(in_epoch, in_run, stem_learns=True)
        steps.loss()  # waits for the device
        taken += 1
    return for_each_image + (time.perf_counter() - started) / (taken * config.batch_size)


def _evaluated_per_second(setup: WarmSetup, config: AirbenchConfig) -> float:
    """Test images that are evaluated in a second, each with all its views.

    A whole batch of them is measured, as smaller ones are faster.
    """
    images = min(TEST_BATCH, len(setup.images.test_labels))
    started = time.perf_counter()
    batch = setup.images.normalised(setup.images.test_pixels[:images]), setup.images.test_labels[:images]
    accuracy(setup.model, [batch], config.tta, setup.workers)
    return images / (time.perf_counter() - started)
