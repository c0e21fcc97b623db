"""Plain ports of airbench's `mirror` and `muon` to a GPU, eager or by torch.compile(mode="max-autotune").

They are written from the facts of the method (arXiv 2404.00498 and its author's record with Muon) with the library's
own layers in half precision, and share no code with raysweep but its image files.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.airbench import PlainNet
from benchmarks.gpu.timing import wait

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True, kw_only=True)
class Images:
    """CIFAR-10 on a device: uint8 [N, 3, 32, 32], int64 [N]."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


@dataclass(frozen=True, kw_only=True)
class Method:
    """What `mirror` and `muon` differ in."""

    epochs: float
    batch: int
    muon: bool
    logit_scale: float


METHODS = {
    "mirror": Method(epochs=9.9, batch=1024, muon=False, logit_scale=1 / 9),
    "muon": Method(epochs=8.0, batch=2000, muon=True, logit_scale=1 / 256),
}


def normalised(pixels: Tensor) -> Tensor:
    """Half-precision images, channels last."""
    mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return ((pixels.float() / 255 - mean) / std).half().to(memory_format=torch.channels_last)


class Run:
    """One training run after the other with one network, so that compiled code is used again."""

    def __init__(self, name: str, images: Images, *, compiled: bool) -> None:
        self.method, self.images, self.device = METHODS[name], images, images.train.device
        self.net = PlainNet().to(self.device).half().to(memory_format=torch.channels_last)
        for norm in self._norms():
            norm.float()
        self.model: Callable[[Tensor], Tensor] = self.net
        if compiled:
            self.model = torch.compile(self.net, mode="max-autotune")
        self.train_images, self.test_images = normalised(images.train), normalised(images.test)

    def _norms(self) -> list[nn.BatchNorm2d]:
        return [m for m in self.net.modules() if isinstance(m, nn.BatchNorm2d)]

    def __call__(self, seed: int) -> tuple[float, float]:
        """Seconds of whitening, training and evaluation, and the accuracy in percent."""
        torch.manual_seed(seed)
        wait(self.device)
        started = time.perf_counter()
        self._initialise()
        self._train()
        accuracy = self._accuracy()
        wait(self.device)
        return time.perf_counter() - started, accuracy

    @torch.no_grad()
    def _initialise(self) -> None:
        for module in self.net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                module.reset_parameters()
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                nn.init.dirac_(module.weight[: module.in_channels])
        if self.method.muon:
            self.net.head.weight /= self.net.head.weight.std()
        patches = F.unfold(self.train_images[:5000].float(), 2).transpose(0, 1).flatten(1)
        values, vectors = torch.linalg.eigh(patches @ patches.T / patches.shape[1])
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0).view(12, 3, 2, 2)
        self.net.whiten.weight.copy_(torch.cat([filters, -filters]))

    def _train(self) -> None:
        method, n = self.method, len(self.train_images)
        per_epoch = n // method.batch
        total = math.ceil(per_epoch * method.epochs)
        optimizers, states = (
            self._optimizers(),
            [s for s in self.net.state_dict().values() if s.is_floating_point()],
        )  # detached
        average: list[Tensor] | None = None
        flips = torch.rand(n, device=self.device) < 0.5
        self.net.train()
        for step in range(total):
            epoch, at = divmod(step, per_epoch)
            if at == 0:
                images = shifted(
                    torch.where(
                        (flips ^ bool(epoch % 2))[:, None, None, None], self.train_images.flip(3), self.train_images
                    )
                )
                order = torch.randperm(n, device=self.device)
            self.net.whiten.bias.requires_grad_(step < 3 * per_epoch)
            chosen = order[at * method.batch : (at + 1) * method.batch]
            logits = self.model(images[chosen]).float() * 9 * method.logit_scale
            labels = self.images.train_labels[chosen]
            F.cross_entropy(logits, labels, label_smoothing=0.2, reduction="sum").backward()
            self._set_rates(optimizers, step, total, per_epoch)
            for optimizer in optimizers:
                optimizer.step()
            self.net.zero_grad()
            if not method.muon and epoch >= 3 and (step + 1) % 5 == 0:
                if average is None:
                    average = [state.clone() for state in states]
                rho = 0.95**5 * ((step + 1) / total) ** 3
                for mean, state in zip(average, states, strict=True):
                    mean.lerp_(state, 1 - rho)
            if average and ((step + 1) % 5 == 0 or at + 1 == per_epoch):
                for mean, state in zip(average, states, strict=True):
                    state.copy_(mean)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        net, filters = self.net, [p for p in self.net.parameters() if p.ndim == 4 and p.requires_grad]
        biases = [norm.bias for norm in self._norms()]
        if self.method.muon:
            groups = [([net.whiten.bias], 0.053), (biases, 0.053), ([net.head.weight], 0.67)]
            decay = 2e-6 * self.method.batch
        else:
            unit = 1024 * (1 + 1 / (1 - 0.85))
            groups = [
                ([net.whiten.bias], 11.5 / unit),
                (biases, 64 * 11.5 / unit),
                ([net.head.weight, *filters], 11.5 / unit),
            ]
            decay = 0.0153 * self.method.batch / unit
        rated = [{"params": ps, "lr": lr, "initial_lr": lr, "weight_decay": decay / lr} for ps, lr in groups]
        made: list[torch.optim.Optimizer] = [torch.optim.SGD(rated, momentum=0.85, nesterov=True)]
        return [*made, PlainMuon(filters)] if self.method.muon else made

    def _set_rates(self, optimizers: list[torch.optim.Optimizer], step: int, total: int, per_epoch: int) -> None:
        if self.method.muon:
            factor = 1 - step / total
        else:
            peak = int(0.23 * total)
            factor = 0.2 + 0.8 * step / peak if step < peak else 1 - 0.93 * (step - peak) / (total - peak)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        if self.method.muon:
            stem = optimizers[0].param_groups[0]
            stem["lr"] = stem["initial_lr"] * max(0.0, 1 - step / (3 * per_epoch))

    @torch.no_grad()
    def _accuracy(self) -> float:
        self.net.eval()
        right = 0
        for x, labels in zip(self.test_images.split(2000), self.images.test_labels.split(2000), strict=True):
            padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
            views = [(x, 0.25), (padded[:, :, :32, :32], 0.125), (padded[:, :, 2:, 2:], 0.125)]
            logits = sum(
                weight * (self.model(v.contiguous(memory_format=torch.channels_last)) + self.model(v.flip(3)))
                for v, weight in views
            )
            right += int((logits.argmax(1) == labels).sum())
        return 100 * right / len(self.test_images)


class PlainMuon(torch.optim.Optimizer):
    """Momentum whose update of each bank is orthogonalised, one bank after the other."""

    def __init__(self, filters: list[nn.Parameter]) -> None:
        super().__init__(filters, {"lr": 0.24, "initial_lr": 0.24})

    @torch.no_grad()
    def step(self) -> None:
        """Update all banks once."""
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.mul_(0.6).add_(p.grad)
                x = p.grad.add(buffer, alpha=0.6).flatten(1).bfloat16()
                x = x / (x.norm() + 1e-7)
                for _ in range(3):
                    a = x @ x.T
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                p.mul_(len(p) ** 0.5 / p.norm())
                p.add_(x.view_as(p).to(p.dtype), alpha=-group["lr"])


def shifted(images: Tensor) -> Tensor:
    """Shift each image by up to 2 pixels, borders reflected, those of one shift together."""
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    shifts = torch.randint(0, 5, (len(images), 2), device=images.device)
    out = torch.empty_like(images)
    for row in range(5):
        for column in range(5):
            which = (shifts[:, 0] == row) & (shifts[:, 1] == column)
            out[which] = padded[which, :, row : row + 32, column : column + 32]
    return out
