"""Measures how fast a run will be on this device, by a few real steps of each phase."""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from trainables.control import RunControl
from trainables.data.batches import Batches
from trainables.data.catalog import locate_here
from trainables.data.info import DataInfo
from trainables.data.loading import Images, load
from trainables.device import let_kernels_be_chosen
from trainables.distributed import Workers
from trainables.files import write_atomically
from trainables.memory import keep_freed_memory
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.evaluation import Validation
from trainables.scattering.network import ScatteringNet
from trainables.scattering.phases import begin_phase
from trainables.scattering.step import Step

TRAINING_SECONDS, VALIDATION_SECONDS = 3.0, 2.0
"""Seconds that the steps and the validations of a phase may take, the first of each aside."""
LEAST_STEPS = 2
"""Steps that are timed in any case."""
SAMPLE_BYTES = 2**26
"""The most bytes that are written to find out how fast checkpoints are."""


def measure(config: ScatteringConfig, num_workers: int) -> dict[str, float]:
    """Rates and durations under the names that results have for them, from real steps on the run's own data.

    One process does what one of `num_workers` would, and rates count the images of all: communication between workers
    is left out. Takes about five seconds for a phase, or two steps. Raises DataError, and MemoryError or
    torch.OutOfMemoryError for want of memory.
    """
    keep_freed_memory()
    let_kernels_be_chosen()
    workers = Workers.current()
    share = replace(config, global_batch_size=config.global_batch_size // num_workers)
    info = locate_here(config.dataset, config.data_dir, config.image_size)
    choice: dict[str, Any] = {"train_size": config.train_size, "val_split": config.val_split, "seed": config.seed}
    load(info, **choice)  # decodes what is decoded once on a machine
    started = time.perf_counter()
    images, val_images = load(info, **choice)
    net = ScatteringNet(share, image_size=info.image_size, num_classes=info.num_classes).to(workers.device)
    measured: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=_existing(Path(config.save_dir))) as folder:
        control = RunControl(Path(folder), workers, checkpoint_minutes=config.checkpoint_minutes)
        timed = _TimedWorker(share, info, net, workers, control)
        with contextlib.closing(control):
            for phase in config.phases:
                step = begin_phase(net, share, workers, phase)
                measured.setdefault("setup_seconds", time.perf_counter() - started)
                rate, warm_up = timed.train(step, images, phase)
                measured |= {
                    f"{phase}_images_per_second": num_workers * rate,
                    f"{phase}_warm_up_seconds": warm_up,
                    f"{phase}_checkpoint_seconds": _checkpoint_seconds(Path(folder), step),
                }
                for name, rate in timed.validate(val_images, num_workers, frozen=phase == "head").items():
                    measured[f"{phase}_{name}"] = num_workers * rate
    return measured


class _TimedWorker:
    """One worker that trains and validates on its share of the images while its time is taken."""

    def __init__(
        self, config: ScatteringConfig, info: DataInfo, net: ScatteringNet, workers: Workers, control: RunControl
    ) -> None:
        """`config` is that of the run, but with this worker's share of the batch."""
        self.config, self.info, self.net, self.workers, self.control = config, info, net, workers, control

    def train(self, step: Step, images: Images, phase: str) -> tuple[float, float]:
        """Images per second of all steps but the first ones, and by how many seconds these take longer."""
        self.net.train()
        seen = done = settling = 0
        first = 0.0
        started = time.perf_counter()
        for x, labels, size in self._training_batches(images, phase):
            step(x, labels, size).item()
            self.control.after_step()
            if not first:
                settling += size
                if not step.is_settling:
                    first, started = time.perf_counter() - started, time.perf_counter()
                continue
            seen, done = seen + size, done + 1
            if done >= LEAST_STEPS and time.perf_counter() - started >= TRAINING_SECONDS:
                break
        rate = seen / (time.perf_counter() - started)
        step.optimizer.zero_grad()
        return rate, max(0.0, first - settling / rate)

    def _training_batches(self, images: Images, phase: str) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Batches of one epoch after another, without end."""
        batches = self._batches(images, augment=self.config.augment)
        for epoch in itertools.count(1):
            yield from batches.training(phase, epoch)

    def validate(self, images: Images, num_workers: int, *, frozen: bool) -> dict[str, float]:
        """Images per second of validation, and of validation from cached features where the run keeps them."""
        own = len(images) // num_workers
        size = min(own, self.config.global_batch_size)
        self._pass(self._validation(images, size), frozen=False)  # the first call chooses kernels
        rate = self._pass(self._validation(images, size), frozen=False)
        validation = self._validation(images, min(own, max(size, int(rate * VALIDATION_SECONDS))))
        keeps = self.config.feature_cache_bytes(self.info.image_size, own) <= self.config.feature_cache_gb * 2**30
        rates = {"validation_images_per_second": self._pass(validation, frozen=frozen and keeps)}
        if frozen and keeps:
            self._pass(validation, frozen=True)
            rates["cached_validation_images_per_second"] = self._pass(validation, frozen=True)
        return rates

    def _pass(self, validation: Validation, *, frozen: bool) -> float:
        """Images per second of one validation."""
        started = time.perf_counter()
        validation(frozen=frozen)
        return len(validation.batches.images) / (time.perf_counter() - started)

    def _validation(self, images: Images, count: int) -> Validation:
        batches = self._batches(images.first(count), augment=False)
        return Validation(self.net, batches, self.config, self.workers, self.control)

    def _batches(self, images: Images, *, augment: bool) -> Batches:
        return Batches(
            self.info,
            images,
            global_batch_size=self.config.global_batch_size,
            workers=self.workers,
            augment=augment,
            seed=self.config.seed,
            num_loaders=self.config.workers,
            decode=self.config.decode,
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists, which is on the disk that checkpoints go to."""
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())


def _checkpoint_seconds(folder: Path, step: Step) -> float:
    """Seconds to write best.pt and last.pt after an epoch, by a sample of their size."""
    states = [step.net.learnt_state(), step.net.learnt_state(), *step.optimizer.state_dict()["state"].values()]
    total = sum(value.nbytes for state in states for value in state.values() if isinstance(value, Tensor))
    content = bytes(min(max(total // 2, 1), SAMPLE_BYTES))
    started = time.perf_counter()
    write_atomically(folder / "sample", lambda stream: stream.write(content) and None)
    return (time.perf_counter() - started) * max(total / len(content), 2)
