"""Trains the epochs of one phase, batch by batch, from wherever a checkpoint was written."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from trainables.data.waiting import Awaited
from trainables.results import Report
from trainables.scattering.run_state import RunState
from trainables.scattering.step import Step


class StopRequested(Exception):  # noqa: N818
    """The run has been asked to stop, and has written its checkpoint."""


class EpochTraining:
    """Trains one epoch at each call of `reports`; only the first steps of all may be slow, as one that compiles."""

    def __init__(self, run: RunState, step: Step, phase: str) -> None:
        self.run, self.step, self.phase = run, step, phase
        self._warm = False

    def reports(self, epoch: int, within: Report | None, save: Callable[[Report], None]) -> Iterator[Report]:
        """Yield progress, and last a report "trained": mean loss and images per second of all workers, and `data_wait`,
        the percentage of its time for which this worker waited for images (see `Awaited`).

        `within` is the position in this epoch to go on from: `step`, the number of steps done, and `sums`, the sum of
        losses and the number of images of each worker. `save` writes a checkpoint with such a position. Raises
        StopRequested, and FloatingPointError for a loss that is not finite.
        """
        run, every, steps = self.run, self.run.config.print_freq, self.run.train_batches.num_steps()
        run.net.train()
        first, (loss_before, seen) = (within["step"], within["sums"][run.workers.rank]) if within else (0, (0.0, 0))
        loss_sum = torch.tensor(loss_before, dtype=torch.float64, device=run.workers.device)
        batches = Awaited(run.train_batches.training(self.phase, epoch, first), run.workers.device)
        speed = _Speed(batches)
        for step, (x, labels, batch_size) in enumerate(batches, start=first + 1):
            loss_sum += self.step(x, labels, batch_size)
            seen, speed.images = seen + len(labels), speed.images + batch_size
            action = run.control.after_step()
            if action != "go on":
                save({"step": step, "sums": run.workers.gather(loss_sum.item(), seen)})
            if action == "stop":
                raise StopRequested
            if every and step % every == 0:
                progress = self._report("progress", epoch, loss_sum.item() / seen, speed)
                yield {**progress, "step": step, "steps": steps}
            if not self._warm and not self.step.is_settling:
                if step < steps:  # an epoch of a single step has no other to compare it with
                    loss_sum.item()  # waits for the device
                    speed.end_first_steps()
                self._warm = True
        if (seconds := speed.warm_up_seconds()) is not None:
            run.timings.add(f"{self.phase}_warm_up_seconds", seconds)
        self.step.optimizer.zero_grad()  # gives back the gradients' memory before validation and checkpoint
        yield self._report("trained", epoch, self._mean_loss(loss_sum.item(), seen, epoch), speed)

    def _mean_loss(self, loss_sum: float, seen: int, epoch: int) -> float:
        """The mean over the images of all workers."""
        total, count = self.run.workers.sum(loss_sum, seen)
        if not math.isfinite(total):
            raise FloatingPointError(f"the loss is {total} in epoch {epoch} of phase {self.phase}")
        return total / count

    def _report(self, event: str, epoch: int, loss: float, speed: "_Speed") -> Report:
        return {
            "event": event,
            "phase": self.phase,
            "epoch": epoch,
            "train_loss": loss,
            "images_per_second": speed.images_per_second(),
            "data_wait": speed.data_wait(),
        }


class _Speed:
    """Images per second of an epoch, and how long it waits for them, without its first steps where these are slower
    than the others."""

    def __init__(self, batches: Awaited[Any]) -> None:
        self._batches, self._waited_before = batches, 0.0
        self.images, self._started = 0, time.perf_counter()
        self._first_seconds, self._first_images = 0.0, 0

    def end_first_steps(self) -> None:
        """Count anew from here on."""
        self._waited_before = self._batches.seconds()
        self._first_seconds, self._first_images = time.perf_counter() - self._started, self.images
        self.images, self._started = 0, time.perf_counter()

    def images_per_second(self) -> float:
        """Images over all workers in a second, up to now."""
        return self.images / (time.perf_counter() - self._started)

    def data_wait(self) -> float:
        """The part of the time up to now, in percent, for which this worker waited for images."""
        waited = self._batches.seconds() - self._waited_before
        return min(100.0, 100 * waited / (time.perf_counter() - self._started))

    def warm_up_seconds(self) -> float | None:
        """By how much the first steps took longer than the others; None where they were not counted apart."""
        if not self._first_images:
            return None
        usual_seconds = (time.perf_counter() - self._started) / self.images * self._first_images
        return max(0.0, self._first_seconds - usual_seconds)
