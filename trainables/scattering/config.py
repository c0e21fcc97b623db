"""The configuration of a scattering run, and the arithmetic of its architecture. Standard library only.

The fields are the flags of the original train.py; a run is determined by its configuration and its data.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

DatasetName = Literal["digits", "cifar10", "cifar100", "imagenet", "imagefolder"]
ModulusType = Literal["complex_modulus", "phase_relu"]
Precision = Literal["float32", "bfloat16", "float16"]
Decode = Literal["cpu", "gpu"]

MOST = 2**31 - 1
"""The largest value of a number that nothing else limits."""
MOST_CHANNELS = 2**24
"""The most channels that a block can have."""

COSMETIC = {"cosmetic": True}
"""Marks a field that cannot change a run's numbers, and so is no part of the run's identity."""
LATER = {"later": True}
"""Marks a field that came when runs had been recorded: at its default it is left out of identities and records, so that
those runs are what they were."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockShape:
    """Channels of one block, whose convolutions have `groups` groups of `mixing_horizon` input channels each."""

    in_channels: int
    out_channels: int
    groups: int
    lowpass_only: bool
    """Whether the block has the low-pass path alone."""

    @property
    def mixing_horizon(self) -> int:
        """Number of input channels that one filter sees, which may exceed the horizon that was asked for."""
        return self.in_channels // self.groups


@dataclass(frozen=True, kw_only=True, slots=True)
class ScatteringConfig:
    """Two-phase training of a scattering network: a linear head on frozen wavelets, then fine-tuning of everything."""

    dataset: DatasetName = "digits"
    """The data to train on: digits are embedded; imagefolder is any folder of class folders."""
    data_dir: str | None = field(default=None, metadata=COSMETIC)
    """Folder of the data; not needed for digits."""
    train_size: float = 1.0
    """Part of the training images, stratified by class: a fraction up to 1, or a number of images above 1."""
    val_split: float = 0.0
    """Fraction of the training images held out for validation; with 0 the test set validates, as for the authors."""
    image_size: int | None = None
    """Side of the square network input in pixels, for folders of images; None: 224 for folders, else the data's own."""
    augment: bool = True
    """Whether training images are cropped and flipped at random."""
    decode: Decode = field(default="cpu", metadata=LATER)
    """What decodes, crops and resizes the images of folders; gpu: nvImageCodec does, where it is installed. Its pixels
    may differ by a level of 255."""

    n_blocks: int = 2
    """Number of scattering blocks, each of which halves the image."""
    L: int = 8
    """Number of wavelet orientations in a block."""
    kernel_size: int = 7
    """Side of the filters in pixels, an odd number from 3 to 255."""
    modulus_type: ModulusType = "complex_modulus"
    """complex_modulus: sqrt(re^2 + im^2); phase_relu: four rectified phases, combined by learnable weights."""
    mixing_horizon: int | None = None
    """Number of input channels that each filter may see; None: all of them."""
    global_avg_pool: bool = False
    """Whether the features are averaged over space before the classifier."""
    lowpass_last: bool = False
    """Whether the last block has its low-pass path alone."""
    random_init: bool = False
    """Whether filters start from PyTorch's default initialisation in place of the wavelets."""
    joint: bool = False
    """Whether there is one phase, in which everything learns at `lr_head`, in place of two."""

    epochs: int = 100
    """Epochs of the fine-tuning phase, or of the joint one; 0 leaves fine-tuning out."""
    lr_epochs: int | None = None
    """Epochs of the head phase; None: as many as `epochs`."""
    lr_head: float = 1e-3
    """Learning rate of norm and classifier in both phases, and of everything in joint training."""
    lr_extractor: float = 1e-4
    """Learning rate of the blocks while fine-tuning."""
    l2_penalty: float = 0.0
    """Weight of the squared distance of the blocks from their state before fine-tuning."""
    global_batch_size: int = 128
    """Images per step over all workers; learning rates are not scaled with the number of workers."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    patience: int = 20
    """Epochs without a better validation accuracy after which a phase stops."""
    sync_batch_norm: bool = False
    """Whether batch statistics are those of all workers; otherwise each normalises its own part, as the authors do."""

    precision: Precision = "float32"
    """Type of convolutions and matrix products (autocast); weights, optimiser and batch statistics stay in float32."""
    compile: bool = False
    """Whether torch.compile compiles the network where everything learns, which takes up to a minute first."""
    micro_batch: int | None = None
    """The most images that a worker passes through the network at once; a step sums the gradients of such parts. None:
    all of its share."""
    batch_parts: int = field(default=1, metadata=COSMETIC)
    """Parts into which a worker cuts its micro-batches; a sweep raises it for want of memory, and results say so. Batch
    statistics are those of the parts, so it is not quite the same run."""
    feature_cache_gb: float = field(default=2.0, metadata=COSMETIC)
    """Memory of a worker, in units of 2^30 bytes, in which the head phase may keep the validation images' features."""
    half_cache: bool = False
    """Whether those features are kept in half precision."""

    seed: int = 42
    """Seed of the subset, the initialisation, the order of the images and the augmentation."""
    workers: int | None = field(default=None, metadata=COSMETIC)
    """Threads of each worker that load images from folders; None: as many as torch computes with."""
    save_dir: str = field(default="runs", metadata=COSMETIC)
    """Folder of the checkpoints best.pt and last.pt, of results.json, predictions.npz and filters.npz."""
    checkpoint_minutes: float = field(default=10.0, metadata=COSMETIC)
    """Minutes after which a checkpoint is written within an epoch as well; 0: after each step."""
    print_freq: int = field(default=50, metadata=COSMETIC)
    """Steps between two progress reports; 0: there are none."""

    def __post_init__(self) -> None:
        def within(least: float, most: float, *names: str) -> None:
            for name in names:
                value = getattr(self, name)
                if value is not None and not (least <= value <= most and value < math.inf):
                    limit = "finite" if most == math.inf else f"at most {most}"
                    raise ValueError(f"{name}={value} must be at least {least}, and {limit}")

        within(1, 14, "n_blocks")
        within(1, 256, "L")
        within(1, 2**14, "image_size")
        within(1, MOST, "mixing_horizon", "global_batch_size", "patience", "batch_parts")
        within(2, MOST, "micro_batch")  # batch norm needs two
        within(0, 10**6, "epochs", "lr_epochs")
        within(0, 1024, "workers")
        within(0, MOST, "print_freq")
        within(0, 2**32 - 1, "seed")
        within(0, math.inf, "lr_head", "lr_extractor", "l2_penalty", "weight_decay")
        within(0, math.inf, "feature_cache_gb", "checkpoint_minutes")
        within(3, 255, "kernel_size")
        if self.kernel_size % 2 == 0:
            near = f"{max(3, self.kernel_size - 1)} or {self.kernel_size + 1}"
            raise ValueError(f"kernel_size={self.kernel_size} must be odd; the nearest are {near}")
        if not 0 < self.train_size < math.inf or (self.train_size > 1 and self.train_size != int(self.train_size)):
            raise ValueError(f"train_size={self.train_size} must be a fraction in (0, 1] or a whole number of images")
        if not 0 <= self.val_split < 1:
            raise ValueError(f"val_split={self.val_split} must be in [0, 1)")
        if not self.phases:
            raise ValueError("nothing to train: epochs=0" + ("" if self.joint else " and lr_epochs=0"))

    @property
    def head_epochs(self) -> int:
        """Epochs of the head phase, with `lr_epochs` resolved."""
        return self.epochs if self.lr_epochs is None else self.lr_epochs

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases of this run in order, out of "head", "finetune" and "joint"."""
        if self.joint:
            return ("joint",) if self.epochs else ()
        return (("head",) if self.head_epochs else ()) + (("finetune",) if self.epochs else ())

    @property
    def is_compiled(self) -> bool:
        """Whether torch.compile compiles the network, which it does in the phases where everything learns."""
        return self.compile and set(self.phases) != {"head"}

    def fields_without_effect(self) -> tuple[str, ...]:
        """Fields that the phases of this run do not use."""
        if self.joint:
            return ("lr_epochs", "lr_extractor", "l2_penalty", "half_cache")
        return () if "finetune" in self.phases else ("lr_extractor", "l2_penalty")

    def block_shapes(self, in_channels: int = 3) -> tuple[BlockShape, ...]:
        """Channels and groups of all blocks. Raises ValueError where these are more than MOST_CHANNELS."""
        shapes = []
        for i in range(self.n_blocks):
            lowpass_only = self.lowpass_last and i == self.n_blocks - 1
            out_channels = in_channels * (1 if lowpass_only else 1 + self.L)
            if out_channels > MOST_CHANNELS:
                raise ValueError(
                    f"n_blocks={self.n_blocks} and L={self.L} make {out_channels:,} channels in block {i + 1}; the "
                    f"most is {MOST_CHANNELS:,}"
                )
            shapes.append(
                BlockShape(
                    in_channels=in_channels,
                    out_channels=out_channels,
                    groups=num_groups(in_channels, self.mixing_horizon),
                    lowpass_only=lowpass_only,
                )
            )
            in_channels = out_channels
        return tuple(shapes)

    def final_channels(self) -> int:
        """Number of channels after the last block: 3 (1 + L)^n, or 3 (1 + L)^(n - 1) with `lowpass_last`."""
        return self.block_shapes()[-1].out_channels

    def final_size(self, image_size: int) -> int:
        """Side of the last block's output in pixels. Raises ValueError where the blocks use up the image."""
        most = image_size.bit_length() - 1
        if self.n_blocks > most:
            raise ValueError(
                f"n_blocks={self.n_blocks} is too many for images of {image_size} pixels: each block halves them, "
                f"so the most is {most}"
            )
        return image_size >> self.n_blocks

    def feature_cache_bytes(self, image_size: int, images: int) -> int:
        """Bytes of the features of so many images in the cache's precision."""
        side = 1 if self.global_avg_pool else self.final_size(image_size)
        return images * self.final_channels() * side * side * (2 if self.half_cache else 4)

    def n_classifier_weights(self, image_size: int, num_classes: int) -> int:
        """Number of weights of the linear layer alone, without its bias and without the norm."""
        side = 1 if self.global_avg_pool else self.final_size(image_size)
        return self.final_channels() * side * side * num_classes

    def n_params_classifier(self, image_size: int, num_classes: int) -> int:
        """Number of parameters of norm (two for each channel) and linear layer (weights and bias)."""
        return 2 * self.final_channels() + self.n_classifier_weights(image_size, num_classes) + num_classes

    def n_params_extractor(self) -> int:
        """Number of parameters of all blocks: filters, 2x2 kernels and, for phase_relu, the weights of the collapse."""
        total = 0
        for shape in self.block_shapes():
            oriented = 0 if shape.lowpass_only else shape.in_channels * self.L
            filters = shape.in_channels + 2 * oriented
            total += filters * shape.mixing_horizon * self.kernel_size**2 + 4
            if self.modulus_type == "phase_relu":
                total += 4 * oriented
        return total


def num_groups(channels: int, mixing_horizon: int | None) -> int:
    """Number of groups of a block's convolutions: channels // horizon, lowered until it divides the channels.

    So the horizon in force, channels / groups, can be larger than the one asked for, such as 75 for 27 at 75 channels.
    """
    if mixing_horizon is None or mixing_horizon >= channels:
        return 1
    most = channels // mixing_horizon
    pairs = ((i, channels // i) for i in range(1, math.isqrt(channels) + 1) if channels % i == 0)
    return max(divisor for pair in pairs for divisor in pair if divisor <= most)


def micro_batches(batch_size: int, world_size: int, micro_batch: int | None, batch_parts: int = 1) -> int:
    """Number of parts into which every worker cuts its share of a global batch, the same on all of them.

    There are `batch_parts` times as many as `micro_batch` asks for. No part has fewer than two images, which batch norm
    needs, so a part may exceed `micro_batch` by one image.
    """
    smallest, largest = batch_size // world_size, math.ceil(batch_size / world_size)
    return min(batch_parts * math.ceil(largest / (micro_batch or largest)), max(1, smallest // 2))
