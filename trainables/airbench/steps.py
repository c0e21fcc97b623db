"""The steps of a run: taken one by one, or on a GPU replayed as CUDA graphs of whole steps."""

from functools import partial

import torch
from torch import Tensor

from trainables.airbench.device_images import DeviceImages
from trainables.airbench.optimizers import rates
from trainables.airbench.step import Step
from trainables.graphs import Replayable, capture_stream

WARM_UP_STEPS = 2


class SingleSteps:
    """Takes steps one by one. Each worker trains on its own part of each batch."""

    launched = "one by one"

    def __init__(self, images: DeviceImages, step: Step) -> None:
        self.images, self.step = images, step

    def begin_epoch(self, pixels: Tensor, order: Tensor) -> None:
        """Train on these images from now on: uint8 [N, 3, 32, 32], and their order, int64 [N], all on the device."""
        self._pixels, self._batches = pixels, order.split(self.step.config.batch_size)
        self._loss = torch.zeros((), device=pixels.device)

    def take(self, in_epoch: int, in_run: int, *, stem_learns: bool) -> None:
        """Take a step, given its number in the epoch and in the run, counted from 0."""
        workers, images = self.step.workers, self.images
        self.step.stem_learns(stem_learns)
        own = self._batches[in_epoch].tensor_split(workers.world_size)[workers.rank]
        self.step.set_rates(in_run)
        self._loss += self.step(images.normalised(self._pixels[own]), images.labels[own])

    def loss(self) -> float:
        """The sum of this worker's losses in the epoch, once the device has worked them out."""
        return self._loss.item()


class CapturedSteps:
    """Replays whole steps: gathering and normalising a batch, forward, backward, the optimisers and the sum of losses.

    There is one graph for steps in which the stem's bias learns and one for those in which it is frozen. The numbers of
    the steps, from which the batch and the rates follow, are on the device as well, so steps are queued without waiting
    for any. Runs that differ in their seed alone share the graphs.
    """

    launched = "as graphs"

    def __init__(self, images: DeviceImages, step: Step, stream: torch.cuda.Stream | None = None) -> None:
        """`stream` is a stream of its own, for steps that are to run beside others; None: that of the device."""
        self.images, self.step, self._stream = images, step, stream
        device, B = images.pixels.device, step.config.batch_size
        self._pixels = images.pixels.clone()
        self._order = torch.arange(len(images.labels) // B * B, device=device).view(-1, B)
        self._in_epoch, self._in_run = (torch.zeros(1, dtype=torch.int64, device=device) for _ in range(2))
        self._loss = torch.zeros((), device=device)
        table = [rates(step.optimizers, step.config, i, step.total_steps) for i in range(step.total_steps)]
        self._table = torch.tensor(table, dtype=torch.float32, device=device)
        self._rates = self._table[0].clone()
        step.take_rates_from(self._rates)
        self._graphs = {learns: Replayable(partial(self._step, learns), device, stream) for learns in (True, False)}

    def capture(self, *, freezes: bool) -> str:
        """Warm up and capture the steps of a run, and of one that `freezes` the stem's bias both kinds. Returns "", or
        why that cannot be done. What is learnt by that is to be thrown away."""
        for learns in (True, False) if freezes else (True,):
            with capture_stream(self._pixels.device, self._stream):
                for _ in range(WARM_UP_STEPS):
                    self._in_run.zero_()
                    self._begin()
                    self._step(learns)
            if not self._graphs[learns].capture():
                self.step.net.zero_grad()  # what is left of a capture that was broken off
                return self._graphs[learns].refusal or "there is no GPU"
        return ""

    def restart(self) -> None:
        """Begin a run from the network's present weights: optimisers start afresh."""
        self.step.forget()
        self._in_run.zero_()

    def begin_epoch(self, pixels: Tensor, order: Tensor) -> None:
        """As that of `SingleSteps`."""
        self._pixels.copy_(pixels)
        self._order.copy_(order[: self._order.numel()].view_as(self._order))
        self._begin()

    def take(self, in_epoch: int, in_run: int, *, stem_learns: bool) -> None:
        """As that of `SingleSteps`; steps have to be taken in their order."""
        self._graphs[stem_learns]()

    def loss(self) -> float:
        """As that of `SingleSteps`."""
        return self._loss.item()

    def _begin(self) -> None:
        self._in_epoch.zero_()
        self._loss.zero_()

    def _step(self, stem_learns: bool) -> None:
        images = self.images
        self.step.stem_learns(stem_learns)
        own = self._order.index_select(0, self._in_epoch)[0]
        self._rates.copy_(self._table.index_select(0, self._in_run)[0])
        self._loss += self.step(images.normalised(self._pixels[own]), images.labels[own])
        self._in_epoch += 1
        self._in_run += 1
