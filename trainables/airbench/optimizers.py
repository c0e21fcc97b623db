"""The optimisers of the cascade: SGD at decoupled rates, Muon for the filters, and lookahead around either."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from trainables.airbench.config import AirbenchConfig
from trainables.airbench.network import AirbenchNet


def make_optimizers(net: AirbenchNet, config: AirbenchConfig) -> list[torch.optim.Optimizer]:
    """The optimisers of a run; a group's `initial_lr` is its rate at a factor of 1.

    The rates are meant for a loss that is summed over a batch. At a factor of 1, all groups decay their weights by the
    same fraction in a step, whatever their rate, so PyTorch's coefficient is that fraction divided by the rate. The
    first group is the stem's bias alone.
    """
    unit = config.examples_per_unit_lr
    decay = config.weight_decay * config.batch_size / unit
    base = config.bias_lr if config.muon else config.lr / unit
    bias_rate = base * (config.bias_scaler if config.scalebias else 1.0)
    stem_rate = bias_rate if net.stem.norm is not None else base
    norm_biases = [p for p in net.norm_biases() if p is not net.stem.bias]
    filters = [p for p in net.parameters() if p.ndim == 4 and p.requires_grad]
    groups: list[tuple[list[Tensor], float]] = [([net.stem.bias], stem_rate), (norm_biases, bias_rate)]
    groups.append(([net.head.weight], config.head_lr if config.muon else base))
    if not config.muon:
        groups.append((filters, base))
    rated = [{"params": params, "lr": lr, "weight_decay": decay / lr} for params, lr in groups]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.SGD(rated, momentum=config.momentum, nesterov=True, fused=True)
    ]
    if config.muon:
        optimizers.append(Muon(filters, lr=config.muon_lr, momentum=config.muon_momentum))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum whose update of each filter bank, as a matrix [filters, rest], is orthogonalised.

    Before a step, a bank of n filters is scaled to the norm sqrt(n). This is the Muon of K. Jordan's cifar10-airbench;
    torch.optim.Muon takes matrices only and does not scale them.
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, momentum: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        """Update the filters once, from their gradients. Banks of one shape are orthogonalised together."""
        for group in self.param_groups:
            of_one_shape: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                of_one_shape.setdefault(p.shape, []).append(p)
            for banks in of_one_shape.values():
                updates = torch.stack([self._momentum(p, group["momentum"]).flatten(1) for p in banks])
                for p, update in zip(banks, orthogonalised(updates), strict=True):
                    p.mul_(len(p) ** 0.5 / p.norm())
                    _add_scaled(p, update.view(p.shape), -group["lr"])

    def _momentum(self, p: Tensor, momentum: float) -> Tensor:
        """The update of Nesterov momentum for a bank, whose state takes in the present gradient."""
        if not self.state[p]:
            self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        buffer: Tensor = self.state[p]["momentum_buffer"]
        buffer.mul_(momentum).add_(p.grad)
        return p.grad.add(buffer, alpha=momentum)


def _add_scaled(p: Tensor, update: Tensor, factor: float | Tensor) -> None:
    """p += factor * update, for a number or a tensor of one element on the device."""
    if isinstance(factor, Tensor):
        p.addcmul_(update, factor)
    else:
        p.add_(update, alpha=factor)


def orthogonalised(matrices: Tensor, steps: int = 3) -> Tensor:
    """An approximation of U V^T for each matrix U S V^T of [..., m, n].

    Steps of Newton-Schulz's iteration bring the singular values to 0.5 .. 1.5.
    """
    X = matrices.bfloat16()
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    is_tall = X.shape[-2] > X.shape[-1]
    if is_tall:
        X = X.mT
    for _ in range(steps):
        A = X @ X.mT
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    if is_tall:
        X = X.mT
    return X.to(matrices.dtype)


class Lookahead:
    """A moving average of the network (weights and statistics), to which the network is set back every few steps."""

    EVERY = 5
    """Steps after which that happens."""

    def __init__(self, net: AirbenchNet) -> None:
        self._states = [tensor for tensor in net.state_dict().values() if tensor.is_floating_point()]
        self._average: list[Tensor] | None = None

    @staticmethod
    def decay(step: int, total_steps: int) -> float:
        """The part rho of itself that the average keeps after `step` steps: 0.95^5 (step / total)^3."""
        return 0.95**5 * (step / total_steps) ** 3

    def after_step(self, step: int, total_steps: int) -> None:
        """Every fifth step, set average = lerp(average, net, 1 - rho) and net = average.

        The first time, set average = net.
        """
        if step % self.EVERY:
            return
        if self._average is None:
            self._average = [state.clone() for state in self._states]
        else:
            torch._foreach_lerp_(self._average, self._states, 1 - self.decay(step, total_steps))
            self.after_epoch()

    def after_epoch(self) -> None:
        """Set net = average."""
        if self._average is not None:
            torch._foreach_copy_(self._states, self._average)


def groups_of(optimizers: list[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    """The groups of parameters of all optimisers, the stem's bias first."""
    return [group for optimizer in optimizers for group in optimizer.param_groups]


def rates(optimizers: list[torch.optim.Optimizer], config: AirbenchConfig, step: int, total: int) -> list[float]:
    """The rate of each group in a step counted from 0.

    With Muon, the rate of the stem's bias falls to 0 until the bias is frozen, as in the author's code.
    """
    groups = groups_of(optimizers)
    found = [group["initial_lr"] * config.lr_factor(step, total) for group in groups]
    if config.muon and config.freeze:
        frozen_at = total * min(1.0, config.freeze_epochs / config.epochs)
        found[0] = groups[0]["initial_lr"] * max(0.0, 1 - step / max(1.0, frozen_at))
    return found


def set_rates(optimizers: list[torch.optim.Optimizer], config: AirbenchConfig, step: int, total: int) -> None:
    """Set the rates of a step counted from 0."""
    for group, rate in zip(groups_of(optimizers), rates(optimizers, config, step, total), strict=True):
        group["lr"] = rate
