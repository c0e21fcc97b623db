"""One timed run as a generator of reports: "start", "epoch" and, last, "result" or "stopped".

The clock is the author's: whitening, training and the final evaluation, without compilation, warm-up and loading. Runs
of one process that differ in their seed alone share data, network and warm-up. A finished run only repeats its result;
an interrupted one starts over, since it is short.
"""

import contextlib
import functools
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which torch's first optimiser would import, two seconds into training

from trainables.airbench.augmentation import augmented, epoch_flips, epoch_shifts
from trainables.airbench.clock import Clock
from trainables.airbench.config import AirbenchConfig
from trainables.airbench.evaluation import Evaluation, accuracy
from trainables.airbench.optimizers import Lookahead
from trainables.airbench.preflight import NUMERICS
from trainables.airbench.steps import CapturedSteps, SingleSteps
from trainables.airbench.warm_setup import WarmSetup
from trainables.control import RunControl
from trainables.data.catalog import locate
from trainables.data.draws import hashed_generator
from trainables.data.info import DataInfo
from trainables.distributed import Workers
from trainables.predictions import save_predictions
from trainables.results import RESULTS, Report, read_results, save_results

QUEUED: Report = {"event": "queued"}
"""Says, in place of a report, that the device has an epoch to work on, so that other runs may give it theirs."""


def train(config: AirbenchConfig) -> Iterator[Report]:
    """Train one network, and yield reports on it.

    Raises DataError for unreadable data, FloatingPointError for a loss that is not finite, and ValueError where
    save_dir holds another run.
    """
    started, workers = time.perf_counter(), Workers.current()
    info = locate(config.dataset, config.data_dir)
    if finished := finished_report(config, info, workers):
        yield finished
        return
    setup = warm_setup(replace(config, seed=0, save_dir=""), info, workers)
    for report in saved_reports(config, setup, info, started):
        if report is not QUEUED:
            yield report


def finished_report(config: AirbenchConfig, info: DataInfo, workers: Workers) -> Report | None:
    """The result of a run that has finished before; None where it has to be trained.

    Raises ValueError where save_dir holds another run.
    """
    folder = Path(config.save_dir)
    finished = read_results(folder, config, _identity(info, workers))
    workers.agree(float(bool(finished)), folder / RESULTS)
    if not finished:
        return None
    return {"event": "result", "results": finished["results"], "curves": finished["curves"]}


warm_setup = functools.lru_cache(maxsize=1)(WarmSetup)
"""The last setup is kept, for runs that differ from its run in their seed alone."""


def saved_reports(
    config: AirbenchConfig, setup: WarmSetup, info: DataInfo, started: float, *, at_once: int = 1
) -> Iterator[Report]:
    """Train a run of which the result is saved: its reports, and QUEUED whenever the device has an epoch to work on.

    The process has been busy with it since `started`. With several runs `at_once` it has no times.
    """
    folder, workers, setup_seconds = Path(config.save_dir), setup.workers, time.perf_counter() - started
    with contextlib.closing(RunControl(folder, workers, checkpoint_minutes=math.inf)) as control:
        run = _Run(config, setup, control, at_once)
        for report in run.reports():
            if report["event"] == "result":
                if at_once == 1:
                    seconds = time.perf_counter() - started
                    report["results"] |= {"setup_seconds": setup_seconds, "seconds": seconds}
                run.save_predictions(folder)
                if workers.is_main:
                    save_results(folder, config, _identity(info, workers), report)
                workers.barrier()
            yield report


def _identity(info: DataInfo, workers: Workers) -> dict[str, Any]:
    """What tells a run from others of the same configuration."""
    return {"data": info.fingerprint(), "world_size": workers.world_size, "numerics": NUMERICS}


class _Run:
    """One run, timed where it is alone on the device."""

    def __init__(self, config: AirbenchConfig, setup: WarmSetup, control: RunControl, at_once: int) -> None:
        self.config, self.setup, self.workers, self.control = config, setup, setup.workers, control
        self.at_once, self.clock = at_once, Clock(setup.workers.device, alone=at_once == 1)
        self.steps_per_epoch = len(setup.images) // config.batch_size
        self.total_steps = config.total_steps(len(setup.images))
        self.curve: list[dict[str, float]] = []
        """What was measured in each epoch."""
        self.evaluation: Evaluation | None = None
        """What the final evaluation found; None before it."""
        self.stopped = False
        """Whether the run was asked to stop."""

    def reports(self) -> Iterator[Report]:
        """Train and evaluate."""
        yield {"event": "start", "resumed_at": None, "actual_train_samples": len(self.setup.images)}
        with self.clock.running():
            net = self.setup.fresh_net(self.config, self.clock)
            steps = self.setup.steps(self.config, clock=self.clock)
            self.lookahead = Lookahead(net) if self.config.lookahead else None
        for epoch in range(math.ceil(self.total_steps / self.steps_per_epoch)):
            yield from self._epoch(steps, epoch)
            if self.stopped:
                return
        yield {"event": "result", "results": self._evaluate(), "curves": {"train": self.curve}}

    def _epoch(self, steps: SingleSteps | CapturedSteps, epoch: int) -> Iterator[Report]:
        """Train an epoch counted from 0, and report on it."""
        began, before = time.perf_counter(), self.clock.seconds
        with self.clock.running():
            taken = self._queue_epoch(steps, epoch)
        yield QUEUED
        if self.stopped:
            yield {"event": "stopped"}
            return
        (total,) = self.workers.sum(steps.loss())
        if not math.isfinite(total):
            raise FloatingPointError(f"the loss is {total} in epoch {epoch + 1}")
        seconds = self.clock.seconds - before if self.at_once == 1 else time.perf_counter() - began
        images = taken * self.config.batch_size
        trained = {"epoch": epoch + 1, "train_loss": total / images}
        speed = {"images_per_second": images / seconds}
        self.curve.append(trained | (speed if self.at_once == 1 else {}))
        yield {"event": "epoch", "phase": "train", "epochs": self.config.epochs, "seconds": seconds, **trained, **speed}

    def _queue_epoch(self, steps: SingleSteps | CapturedSteps, epoch: int) -> int:
        """Give the device an epoch, or what is left of the run, to train. Returns the number of steps."""
        config = self.config
        steps.begin_epoch(*self._augmented(epoch))
        first = epoch * self.steps_per_epoch
        last = min(first + self.steps_per_epoch, self.total_steps)
        for number in range(first, last):
            epochs_done = number / self.steps_per_epoch
            stem_learns = not config.freeze or epochs_done < config.freeze_epochs
            steps.take(number - first, number, stem_learns=stem_learns)
            if self.lookahead and epochs_done >= config.lookahead_epochs:
                self.lookahead.after_step(number + 1, self.total_steps)
            if self.control.after_step() == "stop":
                self.stopped = True
                break
        if self.lookahead:
            self.lookahead.after_epoch()
        return last - first

    def _augmented(self, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of an epoch, augmented, and the order in which they are trained on."""
        config, n = self.config, len(self.setup.images)
        with self.clock.part("augmentation"):
            flips = epoch_flips(n, config.flip, seed=config.seed, epoch=epoch)
            shifts = epoch_shifts(n, config.translate, seed=config.seed, epoch=epoch)
            pixels = augmented(self.setup.images.pixels, flips, shifts)
            order = torch.randperm(n, generator=hashed_generator(config.seed, epoch, "order")).to(pixels.device)
        return pixels, order

    def _evaluate(self) -> Report:
        """The results of the run, from its final evaluation."""
        config, setup, before = self.config, self.setup, self.clock.seconds
        with self.clock.running(), self.clock.part("evaluation"):
            # Each worker has the running statistics of its own parts of the batches: those of the main one are taken.
            self.workers.broadcast(list(setup.net.buffers()))
            batches = self.control.with_heartbeats(setup.images.test_batches())
            self.evaluation = accuracy(setup.model, batches, config.tta, self.workers)
        results = self._results(self.evaluation)
        if self.at_once > 1:
            return results | {"side_by_side": self.at_once}
        views = config.views * len(setup.images.all_test_labels)
        return results | {
            "train_seconds": self.clock.seconds,
            **{f"{part}_seconds": seconds for part, seconds in self.clock.parts.items()},
            "train_images_per_second": statistics.median(row["images_per_second"] for row in self.curve),
            "train_validation_images_per_second": views / (self.clock.seconds - before),
        }

    def save_predictions(self, folder: Path) -> None:
        """Leave what the final evaluation found. All workers of a run that has ended have to call it."""
        assert self.evaluation, "the run has ended"
        classes = self.workers.interleaved(self.evaluation.classes, len(self.setup.images.all_test_labels))
        if self.workers.is_main:
            labels = self.setup.images.all_test_labels
            metrics = ["final_acc", *["acc_single_view"] * (self.config.tta == "none")]
            save_predictions(folder, classes, labels, images="test set", metrics=metrics)

    def _results(self, evaluation: Evaluation) -> Report:
        """What results.json says, but for times and rates."""
        config, setup, device = self.config, self.setup, self.workers.device
        return {
            "final_acc": evaluation.accuracy,
            "acc_single_view": evaluation.single_view,
            "pflop": config.pflop(len(setup.images), len(setup.images.all_test_labels), setup.num_classes),
            "steps": self.total_steps,
            "actual_train_samples": len(setup.images),
            **setup.data,
            "n_params_total": sum(p.numel() for p in setup.net.parameters()),
            "world_size": self.workers.world_size,
            "batch_norm_images": config.batch_size // self.workers.world_size,
            "computed_in": str(setup.dtype).removeprefix("torch."),
            **({"launched": setup.launched} if device.type == "cuda" else {}),
            "device": device.type,
            "device_name": self.workers.device_name(),
            **self.workers.arithmetic(),
            **self.workers.memory(),
        }
