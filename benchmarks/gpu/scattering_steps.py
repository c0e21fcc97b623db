"""Training steps of scattering networks on a GPU, against the definition written plainly (tests/reference.py).

The plain form is eager, with cudnn.benchmark and in float32 (whose convolutions may round to TF32, as torch has it by
default), as the authors train. In the head phase neither form computes gradients of the extractor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F

from benchmarks import scattering
from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.table import rows_of
from benchmarks.gpu.timing import Step, in_turns, release
from search_spaces import imagenet_scattering
from tests.reference import PlainNet
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig, ScatteringNet
from trainables.scattering.captured import WARM_UP_STEPS
from trainables.scattering.phases import begin_phase

WEIGHT_BYTES = 36
"""That a step moves for each weight that learns: AdamW reads weight, gradient and two moments and writes all but the
gradient; the gradient is written before, and the weight read forward."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case(scattering.Case):
    """A network, the phase in which it is trained, and the size of its batch on a GPU."""

    batch: int = 128
    precisions: tuple[str, ...] = ("float32", "bfloat16", "float16")

    @property
    def label(self) -> str:
        """The network and the phase."""
        return f"{self.name} {self.work}"

    def operations(self) -> float:
        """Of a step: two for each multiplication of the filters, at a quarter of the positions, and of the classifier.

        A frozen filter has one channel, a learning one all of its group's. What learns takes three products, forward
        and for two gradients; images and frozen features need no gradient.
        """
        learns = self.work == "finetune"
        total, side = 0.0, self.image_size
        for i, shape in enumerate(self.config.block_shapes()):
            side //= 2
            filters = shape.in_channels * (1 if shape.lowpass_only else 1 + 2 * self.config.L)
            channels, products = (shape.mixing_horizon, 3 if i else 2) if learns else (1, 1)
            total += 2.0 * products * channels * filters * self.config.kernel_size**2 * side**2
        weights = self.config.n_classifier_weights(self.image_size, self.num_classes)
        return self.batch * (total + 2.0 * weights * (3 if learns else 2))

    def nbytes(self, itemsize: int) -> float:
        """That a step has to move at least: each block's input and output once for each pass, and what AdamW does."""
        maps, side = 0, self.image_size
        for shape in self.config.block_shapes():
            maps += shape.in_channels * side**2 + shape.out_channels * (side // 2) ** 2
            side //= 2
        weights = self.config.n_params_classifier(self.image_size, self.num_classes)
        if self.work == "finetune":
            weights += self.config.n_params_extractor()
        return self.batch * maps * itemsize * (3 if self.work == "finetune" else 1) + WEIGHT_BYTES * weights


def cases() -> list[Case]:
    """All cases, the most important ones first."""
    imagenet = {e.name: e.config for e in imagenet_scattering.FAMILY.experiments}
    cifar = ScatteringConfig(dataset="cifar10", n_blocks=3, L=4, kernel_size=5)
    pooled = {name: replace(imagenet[name], global_avg_pool=True) for name in "DG"}
    networks = {
        "CIFAR 3 blocks L=4": cifar,
        "ImageNet C": imagenet["C"],
        "CIFAR 3 blocks L=8 phase ReLU": replace(cifar, L=8, modulus_type="phase_relu"),
        "ImageNet A": imagenet["A"],
        "CIFAR 4 blocks L=4": replace(cifar, n_blocks=4),
        **{f"ImageNet {name}": imagenet[name] for name in "BEF"},
        **{f"ImageNet {name} pooled": config for name, config in pooled.items()},
    }
    works: tuple[Literal["head", "finetune"], ...] = ("finetune", "head")
    return [Case(name=name, config=config, work=work) for name, config in networks.items() for work in works]


def measure(case: Case, device: torch.device, ceilings: Ceilings, *, repeats: int) -> list[dict[str, Any]]:
    """Rows of all forms, at the case's batch or the largest half, quarter ... of it that all of them bear."""
    torch.backends.cudnn.benchmark = True
    while True:
        forms: Mapping[str, Callable[[], Step]] = {
            scattering.PLAIN: partial(plain_step, case, device),
            **{name: partial(own_step, case, device, name) for name in case.precisions},
        }
        try:
            measured = in_turns(forms, device, repeats=repeats, warm_up=WARM_UP_STEPS + 1)
            break
        except torch.OutOfMemoryError:
            if case.batch == 1:
                raise
        release()
        case = replace(case, batch=case.batch // 2)
    floors = {name: _floor(case, ceilings, name) for name in case.precisions}
    release()
    plain = dict.fromkeys(case.precisions, scattering.PLAIN)
    return rows_of(case.label, case.batch, "images/s", measured, plain, floors)


def _floor(case: Case, ceilings: Ceilings, precision: str) -> float:
    """The least seconds of a step."""
    return ceilings.seconds(precision, case.operations(), case.nbytes(getattr(torch, precision).itemsize))


def _batch(case: Case, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(case.batch, 3, case.image_size, case.image_size, generator=generator)
    return x.to(device), torch.randint(case.num_classes, (case.batch,), generator=generator).to(device)


def plain_step(case: Case, device: torch.device) -> Step:
    """A step of the definition."""
    net = PlainNet.of(case.config, image_size=case.image_size, num_classes=case.num_classes)
    own = ScatteringNet(case.config, image_size=case.image_size, num_classes=case.num_classes)
    net.load_state_dict(own.state_dict())
    net.to(device).blocks.requires_grad_(case.work == "finetune")
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad])
    x, labels = _batch(case, device)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return step


def own_step(case: Case, device: torch.device, precision: str) -> Step:
    """A step as runs take it, in a precision."""
    config = replace(case.config, precision=precision, global_batch_size=case.batch)
    net = ScatteringNet(config, image_size=case.image_size, num_classes=case.num_classes).to(device)
    step = begin_phase(net, config, Workers(rank=0, world_size=1, device=device), case.work)
    net.train()
    x, labels = _batch(case, device)
    return lambda: step(x, labels, case.batch)
