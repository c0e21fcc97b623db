"""The configuration of an airbench run, and the named steps of its cascade. Standard library only.

Each switch is a field of its own, independent of the others; `ABLATIONS` names points of that space. The method and the
default values are those of K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498), and of the
author's record with Muon.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

DatasetName = Literal["digits", "cifar10", "cifar100"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

MOST = 2**31 - 1
"""The largest value of a number that nothing else limits."""

COSMETIC = {"cosmetic": True}
"""Marks a field that cannot change a run's numbers, and so is no part of the run's identity."""

WIDTHS = (64, 256, 256)
"""Output channels of the three groups of convolutions."""
STEM_CHANNELS = 24
"""Output channels of the first convolution: the 12 eigenvectors of 2x2 patches of 3 channels, and their negatives."""
FINAL_SIZE = 3
"""Side of the last group's output in pixels: 32, then 31 after the stem, halved and rounded down in each group."""

TIMED_SEEDS = 5
"""Runs of seeds from this number on may train side by side on a GPU, and then have no times."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AirbenchConfig:
    """A timed training run of the airbench network; the defaults are `mirror`, the whole method without compilation."""

    dataset: DatasetName = "digits"
    """The data to train on; digits are embedded."""
    data_dir: str | None = field(default=None, metadata=COSMETIC)
    """Folder of the data; not needed for digits."""

    stem: Literal["norm", "bias"] = "bias"
    """What follows the first convolution: a BatchNorm, in place of its own bias, or its own learnt bias."""
    whiten: bool = True
    """Whether the first convolution whitens 2x2 patches of the training images, with a frozen weight."""
    dirac: bool = True
    """Whether each 3x3 convolution starts as the identity on its first `in_channels` outputs."""
    scalebias: bool = True
    """Whether biases of BatchNorm learn at `bias_scaler` times the rate."""
    freeze: bool = True
    """Whether the bias of the stem (of its convolution, or of its BatchNorm) is frozen after `freeze_epochs`."""
    lookahead: bool = True
    """Whether the network is set to a moving average of itself every few steps, from `lookahead_epochs` on."""
    tta: Literal["none", "mirror", "six_views"] = "six_views"
    """What the final evaluation averages over: nothing, the image and its mirror image, or six views."""
    flip: Literal["none", "random", "alternating"] = "alternating"
    """How training images are mirrored: never, at random, or at random once and then each in every second epoch."""
    compile: bool = False
    """Whether torch.compile compiles the network, once with a learning and once with a frozen bias of the stem."""
    muon: bool = False
    """Whether Muon (orthogonalised momentum) trains the convolutions, and SGD the rest at `bias_lr` and `head_lr`."""

    epochs: float = 9.9
    """Passes over the training images; where this is not a whole number, training stops within an epoch."""
    batch_size: int = 1024
    """Images per step over all workers; an epoch's last batch is left out if it is smaller."""
    lr: float = 11.5
    """Learning rate per 1024 images, decoupled from the momentum: SGD takes lr / (1024 (1 + 1 / (1 - momentum)))."""
    momentum: float = 0.85
    """Nesterov momentum of SGD."""
    weight_decay: float = 0.0153
    """Weight decay, decoupled from the learning rate and in the unit of `lr`; SGD's coefficient follows from it."""
    bias_scaler: float = 64.0
    """Factor by which `scalebias` raises the rate; the weight decay stays as it is."""
    lr_start: float = 0.2
    """Factor of the learning rates at the first step."""
    lr_peak: float = 0.23
    """Fraction of all steps after which the factor reaches 1; it is linear before and after."""
    lr_end: float = 0.07
    """Factor of the learning rates after the last step."""
    bn_momentum: float = 0.6
    """Part of its running statistics that BatchNorm keeps in a step."""
    label_smoothing: float = 0.2
    """Part of each label that is spread over all classes."""
    freeze_epochs: float = 3.0
    """Epochs after which `freeze` freezes the bias of the stem."""
    lookahead_epochs: float = 3.0
    """Epochs after which `lookahead` starts."""
    translate: int = 2
    """Largest shift of the training images in pixels; the border is reflected."""
    logit_scale: float = 1 / 9
    """Factor of the network's outputs."""
    unit_head: bool = False
    """Whether the weights of the head are divided by their standard deviation before training."""
    muon_lr: float = 0.24
    """Learning rate of Muon, which scales n filters to the norm sqrt(n) before each step."""
    muon_momentum: float = 0.6
    """Nesterov momentum of Muon."""
    bias_lr: float = 0.053
    """Learning rate of SGD for all biases where Muon trains the convolutions, per step."""
    head_lr: float = 0.67
    """Learning rate of SGD for the head where Muon trains the convolutions, per step."""

    precision: Precision = "auto"
    """Type of convolutions and activations; weights, optimiser and statistics stay in float32. auto: float16 on a GPU,
    bfloat16 on CPUs that multiply in it (AMX, AVX512-BF16), else float32. Results say which it was."""
    seed: int = 0
    """Seed of the initialisation, the order of the images and the augmentation."""
    save_dir: str = field(default="runs", metadata=COSMETIC)
    """Folder of results.json and final.pt."""

    def __post_init__(self) -> None:
        def check(holds: bool, name: str, must: str) -> None:
            if not holds:
                raise ValueError(f"{name}={getattr(self, name)} must be {must}")

        for name in ("epochs", "lr", "bias_scaler", "logit_scale", "muon_lr", "bias_lr", "head_lr"):
            least, most = 1e-9, 1e6
            check(least <= getattr(self, name) <= most, name, f"above 0: at least {least:g}, and at most {most:g}")
        for name in ("weight_decay", "lr_start", "lr_end", "freeze_epochs", "lookahead_epochs"):
            check(0 <= getattr(self, name) < math.inf, name, "at least 0, and finite")
        for name in ("momentum", "muon_momentum"):
            check(0 < getattr(self, name) < 1, name, "between 0 and 1, as Nesterov momentum needs it")
        for name in ("lr_peak", "bn_momentum", "label_smoothing"):
            check(0 <= getattr(self, name) < 1, name, "at least 0 and below 1")
        check(2 <= self.batch_size <= MOST, "batch_size", f"at least 2, which batch norm needs, and at most {MOST}")
        check(0 <= self.translate < 32, "translate", "at least 0 and less than an image")
        check(0 <= self.seed < 2**32, "seed", "at least 0 and below 2^32")

    @property
    def examples_per_unit_lr(self) -> float:
        """1024 (1 + 1 / (1 - momentum)), by which `lr` is divided for SGD on a loss that is summed over a batch."""
        return 1024 * (1 + 1 / (1 - self.momentum))

    @property
    def views(self) -> int:
        """Number of views of each test image that the final evaluation passes through the network."""
        return {"none": 1, "mirror": 2, "six_views": 6}[self.tta]

    def total_steps(self, n_train: int) -> int:
        """Number of steps of a run on `n_train` images: full batches of an epoch times `epochs`, rounded up."""
        return math.ceil(n_train // self.batch_size * self.epochs)

    def lr_factor(self, step: int, total_steps: int) -> float:
        """Factor of the learning rates at a step counted from 0.

        It is linear from `lr_start` to 1 at `lr_peak`, and from there to `lr_end`.
        """
        peak = int(self.lr_peak * total_steps)
        if step < peak:
            return self.lr_start + (1 - self.lr_start) * step / peak
        return 1 + (self.lr_end - 1) * (step - peak) / (total_steps - peak)

    def n_params_extractor(self) -> int:
        """Number of parameters of stem and groups: filters, and two for each channel of a norm.

        Those that do not learn are included.
        """
        total = STEM_CHANNELS * (4 * 3 + (2 if self.stem == "norm" else 1))
        for channels, width in zip((STEM_CHANNELS, *WIDTHS), WIDTHS, strict=False):
            total += 9 * width * (channels + width) + 4 * width
        return total

    def n_params_classifier(self, num_classes: int = 10) -> int:
        """Number of weights of the head, which has no bias."""
        return WIDTHS[-1] * num_classes

    def flops_forward(self, num_classes: int = 10) -> int:
        """Floating-point operations of the network on one 32x32 image.

        There are two for each multiply-add of the convolutions, over all positions of the definition, and of the head.
        """
        size, channels, total = 31, STEM_CHANNELS, 31 * 31 * 12 * STEM_CHANNELS
        for width in WIDTHS:
            total += size * size * 9 * channels * width
            size //= 2
            total += size * size * 9 * width * width
            channels = width
        return 2 * (total + channels * num_classes)

    def pflop(self, n_train: int, n_test: int, num_classes: int = 10) -> float:
        """Operations of a run in 10^15: training (forward, and twice as much backward) and the final evaluation."""
        trained = 3 * self.batch_size * self.total_steps(n_train)
        return (trained + self.views * n_test) * self.flops_forward(num_classes) / 1e15


_baseline = AirbenchConfig(
    stem="norm",
    whiten=False,
    dirac=False,
    scalebias=False,
    freeze=False,
    lookahead=False,
    tta="mirror",
    flip="random",
    epochs=35.0,
    lr=10.0,
    bn_momentum=0.9,
    lr_peak=0.2,
    lr_end=0.0,
)
_whiten = replace(_baseline, stem="bias", whiten=True, epochs=21.0)
_dirac = replace(_whiten, dirac=True, epochs=18.0)
_scalebias = replace(_dirac, scalebias=True, epochs=13.5)
_freeze = replace(_scalebias, freeze=True)
_fastbn = replace(_freeze, bn_momentum=0.6)
_lookahead = replace(_freeze, lookahead=True, epochs=12.0, lr=11.5, bn_momentum=0.6, lr_peak=0.23, lr_end=0.07)
_tta = replace(_lookahead, tta="six_views", epochs=10.8)
_mirror = replace(_tta, flip="alternating", epochs=9.9)
_muon = replace(
    _mirror,
    muon=True,
    lookahead=False,
    scalebias=False,
    epochs=8.0,
    batch_size=2000,
    lr_start=1.0,
    lr_peak=0.0,
    lr_end=0.0,
    weight_decay=2e-6 * _mirror.examples_per_unit_lr,
    logit_scale=1 / 256,
    unit_head=True,
)

ABLATIONS: Mapping[str, AirbenchConfig] = MappingProxyType(
    {
        # the cascade: each step adds to the one before
        "baseline": _baseline,
        "whiten": _whiten,
        "dirac": _dirac,
        "scalebias": _scalebias,
        "freeze": _freeze,
        "lookahead": _lookahead,
        "tta": _tta,
        "mirror": _mirror,
        "compile": replace(_mirror, compile=True),
        # steps beside the cascade
        "bias_stem": replace(_baseline, stem="bias", epochs=45.0),
        "fastbn": _fastbn,
        "fastbn_lrsched": replace(_fastbn, lr_peak=0.23, lr_end=0.07),
        "lookahead_on_freeze": replace(_freeze, lookahead=True, freeze=False, lr=11.5, lr_peak=0.23, lr_end=0.07),
        **{f"tta_on_freeze_{e:g}": replace(_freeze, tta="six_views", epochs=e) for e in (13.5, 12.0, 11.5, 11.0)},
        "uncompiled": _mirror,
        "muon": _muon,
    }
)
"""The named steps, each with its author's number of epochs."""
