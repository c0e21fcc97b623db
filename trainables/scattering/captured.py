"""Replays the training step of a phase on a GPU as one CUDA graph."""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from trainables.graphs import Replayable, capture_stream

WARM_UP_STEPS = 3
"""Steps that are taken as they are before one is captured: kernels are chosen, compiled code and the states of the
optimiser are made. They are steps of the run as all others."""

LARGEST_SHARE = 0.4
"""Of the GPU's memory. A step that needs more is never captured: the graph would keep that memory through validation,
and the kernels of so large a step take longer than launching them."""

MOST_QUEUED = 8
"""Steps that the device may be behind. A graph is a single launch, of which it would take a thousand: heartbeats would
run ahead of the work, and a request to stop would be seen a thousand steps late."""

Work = Callable[[Tensor, Tensor, int], Tensor]
"""What trains by images [B, 3, H, W] and labels [B] of a global batch of so many, and returns the sum of losses."""


class CapturedStep:
    """Takes steps on a GPU; those of the first batch's shape are captured and replayed, once some have been taken.

    A smaller batch, such as the last one of an epoch, is trained on as it is.
    """

    def __init__(self, work: Work, device: torch.device) -> None:
        self._work, self._device = work, device
        self._taken = 0
        self._batch: tuple[Tensor, Tensor, int] | None = None
        """Where the graph finds images, labels and the size of the global batch."""
        self._total = torch.zeros((), device=device)
        self._replayable = Replayable(self._work_in_place, device)
        self._queued: deque[torch.cuda.Event] = deque()
        self.is_settling = True
        """Whether further steps will be slower than the ones after them."""
        self.launched = "one by one"
        """How the device gets its work: "as graphs", or "one by one" with the reason where that was not meant."""

    def __call__(self, x: Tensor, labels: Tensor, batch_size: int) -> Tensor:
        """Train by a batch. Returns the sum of its losses, until the next call."""
        if self._batch is None:
            self._batch = x.clone(), labels.clone(), batch_size
        images, targets, size = self._batch
        if x.shape != images.shape or batch_size != size:
            return self._work(x, labels, batch_size)
        if self.is_settling and self._taken < WARM_UP_STEPS:
            self._taken += 1
            with capture_stream(self._device):
                return self._work(x, labels, batch_size)
        images.copy_(x)
        targets.copy_(labels)
        if self.is_settling:
            self._capture()
        self._replayable()
        self._wait_for_others()
        return self._total

    def _wait_for_others(self) -> None:
        """Wait until the device is no more than so many steps behind."""
        if self._device.type == "cuda":
            event = torch.cuda.Event(blocking=True)  # without keeping a core busy, which loads images
            event.record()
            self._queued.append(event)
            if len(self._queued) > MOST_QUEUED:
                self._queued.popleft().synchronize()

    def _capture(self) -> None:
        self.is_settling = False
        if too_large := _too_large(self._device):
            self.launched = f"one by one: {too_large}"
        elif self._replayable.capture():
            self.launched = "as graphs"
        else:
            self.launched = f"one by one: {self._replayable.refusal or 'there is no GPU'}"

    def _work_in_place(self) -> None:
        assert self._batch, "a batch has been trained on"
        self._total.copy_(self._work(*self._batch))


def _too_large(device: torch.device) -> str:
    """Why the steps so far were too large for one to be captured, in a line; "" where they were not."""
    if device.type != "cuda":
        return ""
    held = torch.cuda.max_memory_allocated(device)
    most = LARGEST_SHARE * torch.cuda.get_device_properties(device).total_memory
    return f"a step holds {held / 2**30:.0f} GB" if held > most else ""
