"""A few real steps and a part of the evaluation, timed: how fast a run will be on this device."""

import time
from dataclasses import replace

from trainables.airbench.augmentation import augmented, epoch_flips, epoch_shifts
from trainables.airbench.config import AirbenchConfig
from trainables.airbench.evaluation import TEST_BATCH, accuracy
from trainables.airbench.training import Bench, Step, fresh_net
from trainables.data.catalog import locate
from trainables.distributed import Workers

TRAINING_SECONDS = 4.0
"""What the steps may take, beyond the first two."""
LEAST_STEPS = 2


def measure(config: AirbenchConfig, num_workers: int) -> dict[str, float]:
    """Rates and durations under the names that results have for them, from real steps on the run's own data.

    One process does what one of `num_workers` would, and rates count the images of all: what workers say to each other
    is left out. Raises DataError, and MemoryError or its like.
    """
    started = time.perf_counter()
    workers = Workers.current()
    share = replace(config, batch_size=config.batch_size // num_workers)
    bench = Bench(share, locate(config.dataset, config.data_dir), workers)  # which warms up
    fresh_net(bench, share)
    setup = time.perf_counter() - started
    n = len(bench.labels)
    started = time.perf_counter()
    flips = epoch_flips(n, config.flip, seed=config.seed, epoch=0)
    pixels = augmented(bench.pixels, flips, epoch_shifts(n, config.translate, seed=config.seed, epoch=0))
    for_each_image = (time.perf_counter() - started) / n
    step, steps, clock = Step(bench, share, total_steps=10**6), 0, time.perf_counter()
    while steps < LEAST_STEPS or time.perf_counter() - clock < TRAINING_SECONDS:
        part = slice(steps % (n // share.batch_size) * share.batch_size, None)
        own = slice(part.start, part.start + share.batch_size)
        step(bench.normalised(pixels[own]), bench.labels[own], 0).item()
        steps += 1
    for_each_image += (time.perf_counter() - clock) / (steps * share.batch_size)
    return {
        "setup_seconds": setup,
        "train_images_per_second": num_workers / for_each_image,
        "train_validation_images_per_second": num_workers * config.views * _evaluated_per_second(bench, config),
    }


def _evaluated_per_second(bench: Bench, config: AirbenchConfig) -> float:
    """Test images, each with all its views: those of a whole batch, as smaller ones are faster."""
    images = min(TEST_BATCH, len(bench.test_labels))
    started = time.perf_counter()
    batch = bench.normalised(bench.test_pixels[:images]), bench.test_labels[:images]
    accuracy(bench.model, [batch], config.tta, bench.workers)
    return images / (time.perf_counter() - started)
