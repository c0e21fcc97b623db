"""One step of the optimiser: forward and backward over the micro-batches of all workers, then the update."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainables.distributed import Workers
from trainables.scattering.captured import CapturedStep
from trainables.scattering.config import ScatteringConfig, micro_batches
from trainables.scattering.network import ScatteringNet


def autocast(config: ScatteringConfig, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a network of this configuration computes."""
    if config.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, config.precision))


def make_optimizer(net: ScatteringNet, config: ScatteringConfig, phase: str) -> torch.optim.Optimizer:
    """AdamW for the parameters of a phase: norm and classifier at `lr_head`, and the blocks but in the head phase."""
    groups: list[dict[str, Any]] = [{"params": net.head_parameters(), "lr": config.lr_head}]
    if phase != "head":
        rate = config.lr_extractor if phase == "finetune" else config.lr_head
        groups.insert(0, {"params": list(net.extractor_parameters()), "lr": rate})
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)


class Step:
    """Trains `net` by one global batch at a time; its parameters' `requires_grad` say what learns."""

    def __init__(
        self,
        net: ScatteringNet,
        optimizer: torch.optim.Optimizer,
        config: ScatteringConfig,
        workers: Workers,
        *,
        anchor: list[Tensor] | None = None,
    ) -> None:
        self.net, self.optimizer, self.config, self.workers, self.anchor = net, optimizer, config, workers, anchor
        self._scaler = torch.amp.GradScaler(workers.device.type, enabled=config.precision == "float16")
        self._ddp: DistributedDataParallel | None = None
        if workers.world_size > 1:
            # Running statistics play no part in training; validation takes those of the main worker, as DDP would.
            # All workers start from the same seed or file. A broadcast would change the versions of the frozen filters,
            # which then no longer count as wavelets.
            self._ddp = DistributedDataParallel(
                net,
                forward_sync_buffers=False,
                init_sync=False,
                gradient_as_bucket_view=True,
                static_graph=config.micro_batch is None
                and config.batch_parts == 1,  # does not go together with no_sync
            )
        self.model: nn.Module = self._ddp or net
        if config.compile and any(p.requires_grad for p in net.extractor_parameters()):
            # A frozen extractor is a chain of library calls; around it, compiled code was slower (docs/log.md).
            self.model = torch.compile(self.model, dynamic=False)
        self.rates = [float(group["lr"]) for group in optimizer.param_groups]
        """The learning rates that it began with, one for each group of parameters."""
        self.captured: CapturedStep | None = None
        """What replays steps; None where each kernel is launched by itself, as on CPUs and by several processes."""
        if workers.device.type == "cuda" and workers.world_size == 1:
            self.captured = CapturedStep(self._take, workers.device)
            self._let_be_captured()
        self._is_settling = True

    def __call__(self, x: Tensor, labels: Tensor, batch_size: int) -> Tensor:
        """Train by this worker's share ([B, 3, H, W], [B]) of a global batch.

        Returns the sum of its losses, which holds until the next call.
        """
        self._is_settling = False
        return (self.captured or self._take)(x, labels, batch_size)

    @property
    def is_settling(self) -> bool:
        """Whether further steps will be slower than the ones after them, as a first one that chooses kernels."""
        return self.captured.is_settling if self.captured else self._is_settling

    def set_rates(self, rates: Sequence[float]) -> None:
        """Set the learning rate of each group of parameters; graphs read it from the tensor in which it stands."""
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _take(self, x: Tensor, labels: Tensor, batch_size: int) -> Tensor:
        config = self.config
        parts = micro_batches(batch_size, self.workers.world_size, config.micro_batch, config.batch_parts)
        self.optimizer.zero_grad()
        total = x.new_zeros(())
        for i, (images, targets) in enumerate(zip(x.tensor_split(parts), labels.tensor_split(parts), strict=True)):
            with self._ddp.no_sync() if self._ddp and i + 1 < parts else nullcontext():
                total += self._backward(images, targets, batch_size)
        if self.anchor is not None:
            total += self._pull_to_anchor() * len(labels)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return total

    def optimizer_state(self) -> dict[str, Any]:
        """The state of the optimiser, the same whether its steps are captured or not."""
        state = self.optimizer.state_dict()
        groups = [{**group, "lr": float(group["lr"]), "capturable": False} for group in state["param_groups"]]
        return {**state, "param_groups": groups}

    def load_optimizer(self, state: dict[str, Any]) -> None:
        """Load what `optimizer_state` returned."""
        self.optimizer.load_state_dict(state)
        self._let_be_captured()

    def state(self) -> dict[str, Any]:
        """What the next step depends on beside weights and optimiser, which is the scale of float16's gradients."""
        return self._scaler.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        """Load what `state` returned."""
        self._scaler.load_state_dict(state)

    def _backward(self, x: Tensor, labels: Tensor, batch_size: int) -> Tensor:
        with autocast(self.config, self.workers.device):
            loss = F.cross_entropy(self.model(x), labels, reduction="sum")
        # The loss is the mean over the global batch, of which workers may hold unequal parts; DDP averages over them.
        self._scaler.scale(loss * (self.workers.world_size / batch_size)).backward()
        return loss.detach()

    def _pull_to_anchor(self) -> Tensor:
        """Add the gradient of l2_penalty * sum ||theta - theta_0||^2 over the extractor. Returns that sum."""
        penalty = self.config.l2_penalty
        total = torch.zeros((), device=self.workers.device)
        with torch.no_grad():
            factor = self._scaler.scale(torch.full_like(total, 2 * penalty)) if self._scaler.is_enabled() else None
            for p, p0 in zip(self.net.extractor_parameters(), self.anchor or [], strict=True):
                distance = p - p0
                total += penalty * distance.square().sum()
                if factor is None:
                    p.grad.add_(distance, alpha=2 * penalty)
                else:  # without waiting for the scale
                    p.grad.addcmul_(distance, factor)
        return total

    def _let_be_captured(self) -> None:
        """Keep the learning rates in tensors on the device, as graphs need it."""
        if self.captured:
            warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
            for group in self.optimizer.param_groups:
                group["lr"] = torch.tensor(float(group["lr"]), device=self.workers.device)
                group["capturable"] = True
