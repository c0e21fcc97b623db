"""One step of the optimisers: forward, backward and update."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainables.airbench.clock import Clock
from trainables.airbench.config import AirbenchConfig
from trainables.airbench.network import AirbenchNet
from trainables.airbench.optimizers import groups_of, make_optimizers, set_rates
from trainables.distributed import Workers


class Step:
    """Trains a network by one batch at a time, from its present weights, with fresh optimisers."""

    def __init__(
        self,
        net: AirbenchNet,
        config: AirbenchConfig,
        workers: Workers,
        *,
        total_steps: int,
        compiled: nn.Module | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`compiled` is what passes images through `net` in its place; `clock` takes the times of a step's parts."""
        self.net, self.config, self.workers, self.total_steps = net, config, workers, total_steps
        self.clock = clock or Clock(workers.device)
        self._compiled = net if compiled is None else compiled
        net.stem.bias.requires_grad_(True)
        self.optimizers = make_optimizers(net, config)
        self._stem_learns: bool | None = None
        self.stem_learns(True)

    def stem_learns(self, learns: bool) -> None:
        """Let the bias of the stem learn, or freeze it."""
        if learns == self._stem_learns:
            return
        self._stem_learns = learns
        self.net.stem.bias.requires_grad_(learns)
        if not learns:
            self.net.stem.bias.grad = None
        self.model = self._compiled
        if self.workers.world_size > 1:  # is made anew, as it asks only then which parameters learn
            self.model = DistributedDataParallel(
                self.model, forward_sync_buffers=False, init_sync=False, gradient_as_bucket_view=True
            )

    def set_rates(self, step: int) -> None:
        """Set the learning rates to those of a step counted from 0."""
        set_rates(self.optimizers, self.config, step, self.total_steps)

    def take_rates_from(self, rates: Tensor) -> None:
        """Let the learning rates be what `rates`, on the device, holds in each step, one for each group."""
        for group, rate in zip(groups_of(self.optimizers), rates.unbind(), strict=True):
            group["lr"] = rate

    def forget(self) -> None:
        """Let the stem learn again, and the optimisers start afresh with the tensors that they have: momentum of zeros
        is none."""
        self._stem_learns = None
        self.stem_learns(True)
        for optimizer in self.optimizers:
            for state in optimizer.state.values():
                state["momentum_buffer"].zero_()

    def __call__(self, x: Tensor, labels: Tensor) -> Tensor:
        """Update the weights from this worker's part of a batch ([B, 3, 32, 32], [B]), at the present rates.

        Returns the sum of its losses.
        """
        self.net.train()
        with self.clock.part("forward"):
            logits = self.model(x, bool(self._stem_learns))
            loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing, reduction="sum")
        with self.clock.part("backward"):
            # The loss is summed over the whole batch, but DistributedDataParallel averages gradients over workers.
            (loss * self.workers.world_size).backward()
        with self.clock.part("optimizer"):
            for optimizer in self.optimizers:
                optimizer.step()
            self.net.zero_grad()
        return loss.detach()
