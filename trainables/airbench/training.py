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
from trainables.distributed import Workers
from trainables.predictions import save_predictions
from trainables.results import RESULTS, Report, read_results, save_results


def train(config: AirbenchConfig) -> Iterator[Report]:
    """Train one network, and yield reports on it.

    Raises DataError for unreadable data, FloatingPointError for a loss that is not finite, and ValueError where
    save_dir holds another run.
    """
    started = time.perf_counter()
    workers, folder = Workers.current(), Path(config.save_dir)
    info = locate(config.dataset, config.data_dir)
    identity = {"data": info.fingerprint(), "world_size": workers.world_size, "numerics": NUMERICS}
    finished = read_results(folder, config, identity)
    workers.agree(float(bool(finished)), folder / RESULTS)
    if finished:
        yield {"event": "result", "results": finished["results"], "curves": finished["curves"]}
        return
    setup = _warm_setup(replace(config, seed=0, save_dir=""), info, workers)
    setup_seconds = time.perf_counter() - started
    with contextlib.closing(RunControl(folder, workers, checkpoint_minutes=math.inf)) as control:
        run = _Run(config, setup, control)
        for report in run.reports():
            if report["event"] == "result":
                report["results"] |= {"setup_seconds": setup_seconds, "seconds": time.perf_counter() - started}
                run.save_predictions(folder)
                if workers.is_main:
                    save_results(folder, config, identity, report)
                workers.barrier()
            yield report


_warm_setup = functools.lru_cache(maxsize=1)(WarmSetup)
"""The last setup is kept, for runs that differ from its run in their seed alone."""


class _Run:
    """One run, timed."""

    def __init__(self, config: AirbenchConfig, setup: WarmSetup, control: RunControl) -> None:
        self.config, self.setup, self.workers, self.control = config, setup, setup.workers, control
        self.clock = Clock(setup.workers.device)
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
            yield self._epoch(steps, epoch)
            if self.stopped:
                return
        yield {"event": "result", "results": self._evaluate(), "curves": {"train": self.curve}}

    def _epoch(self, steps: SingleSteps | CapturedSteps, epoch: int) -> Report:
        """Train an epoch counted from 0, and report on it."""
        before = self.clock.seconds
        with self.clock.running():
            loss, taken = self._train_epoch(steps, epoch)
        if self.stopped:
            return {"event": "stopped"}
        seconds = self.clock.seconds - before
        (total,) = self.workers.sum(loss)
        if not math.isfinite(total):
            raise FloatingPointError(f"the loss is {total} in epoch {epoch + 1}")
        images = taken * self.config.batch_size
        trained = {"epoch": epoch + 1, "train_loss": total / images, "images_per_second": images / seconds}
        self.curve.append(trained)
        return {"event": "epoch", "phase": "train", "epochs": self.config.epochs, "seconds": seconds, **trained}

    def _train_epoch(self, steps: SingleSteps | CapturedSteps, epoch: int) -> tuple[float, int]:
        """Train an epoch, or what is left of the run. Returns this worker's sum of losses and the number of steps."""
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
        return steps.loss(), last - first

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
        views_per_second = config.views * len(setup.images.all_test_labels) / (self.clock.seconds - before)
        return self._results(self.evaluation) | {
            "train_images_per_second": statistics.median(row["images_per_second"] for row in self.curve),
            "train_validation_images_per_second": views_per_second,
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
        """What results.json says, but for rates."""
        config, setup, device = self.config, self.setup, self.workers.device
        return {
            "final_acc": evaluation.accuracy,
            "acc_single_view": evaluation.single_view,
            "train_seconds": self.clock.seconds,
            **{f"{part}_seconds": seconds for part, seconds in self.clock.parts.items()},
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
