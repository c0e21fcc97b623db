"""The scattering network: blocks, then norm and a linear classifier."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.distributed import SyncBatchNorm
from trainables.scattering import head
from trainables.scattering.blocks import ScatteringBlock
from trainables.scattering.config import ScatteringConfig


class ScatteringNet(nn.Module):
    """Consists of blocks (the extractor), an optional global average pool, BatchNorm2d, and Linear (the classifier).

    The initial weights follow from the configuration and its seed alone. Raises ValueError where the blocks use up
    the image.
    """

    def __init__(self, config: ScatteringConfig, *, image_size: int, num_classes: int) -> None:
        super().__init__()
        self.config, self.image_size, self.num_classes = config, image_size, num_classes
        side = 1 if config.global_avg_pool else config.final_size(image_size)
        channels = config.final_channels()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.blocks = _blocks(config)
            self.gap = nn.AdaptiveAvgPool2d(1) if config.global_avg_pool else nn.Identity()
            self.norm = SyncBatchNorm(channels) if config.sync_batch_norm else nn.BatchNorm2d(channels)
            self.classifier = nn.Linear(channels * side * side, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Scattering coefficients [B, C, h, w] of images [B, 3, H, W]; [B, C, 1, 1] with global average pooling."""
        for block in self.blocks:
            x = block(x)
        return self.gap(x)

    def classify(self, features: Tensor) -> Tensor:
        """Logits [B, classes] of `features`."""
        few_classes = self.num_classes <= len(features)  # otherwise the weights are larger than the features
        if few_classes and not features.requires_grad and type(self.norm) is nn.BatchNorm2d:
            return head.classify(features, self.norm, self.classifier)
        return self.classifier(self.norm(features).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, classes]."""
        return self.classify(self.features(x))

    def extractor_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of all blocks."""
        return self.blocks.parameters()

    def head_parameters(self) -> list[nn.Parameter]:
        """The parameters of norm and classifier."""
        return [*self.norm.parameters(), *self.classifier.parameters()]

    def freeze_extractor(self) -> None:
        """Let only norm and classifier learn."""
        for block in self.blocks:
            block.freeze()

    def unfreeze_extractor(self) -> None:
        """Let everything learn."""
        for block in self.blocks:
            block.unfreeze()

    def block_summary(self) -> list[dict[str, Any]]:
        """A row for each block: its channels, its horizon and the one asked for, and whether it is low-pass only."""
        return [
            {
                "block": i,
                "in_channels": shape.in_channels,
                "out_channels": shape.out_channels,
                "mixing_horizon": shape.mixing_horizon,
                "requested_horizon": self.config.mixing_horizon,
                "lowpass_only": shape.lowpass_only,
            }
            for i, shape in enumerate(self.config.block_shapes())
        ]

    def parameter_counts(self) -> dict[str, int]:
        """Numbers of parameters of the extractor and the classifier (norm and linear layer), in all, and trainable."""
        extractor = sum(p.numel() for p in self.extractor_parameters())
        classifier = sum(p.numel() for p in self.head_parameters())
        trainable = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return {
            "n_params_extractor": extractor,
            "n_params_classifier": classifier,
            "n_params_total": extractor + classifier,
            "n_params_trainable": trainable,
        }

    def learnt_state(self) -> dict[str, Tensor]:
        """The state_dict, but without a frozen extractor, whose weights follow from the configuration."""
        state = self.state_dict()
        if not any(p.requires_grad for p in self.extractor_parameters()):
            state = {name: value for name, value in state.items() if not name.startswith("blocks.")}
        return state

    def load_learnt_state(self, state: dict[str, Tensor]) -> None:
        """Load what `learnt_state` returned. Without an extractor in it, this network's must be at its initial state.

        Raises ValueError for the state of another network.
        """
        missing, unexpected = self.load_state_dict(state, strict=False)
        foreign = unexpected + [name for name in missing if not name.startswith("blocks.")]
        absent = [name for name in missing if name.startswith("blocks.")]
        if foreign or (absent and len(absent) != len(self.blocks.state_dict())):
            raise ValueError(f"not a checkpoint of this network: {', '.join((foreign + absent)[:3])} ...")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ScatteringNet":
        """Load the network of a run, in evaluation mode; `path` is the run's folder, its best.pt or its last.pt.

        Nothing is unpickled but tensors and plain values. Raises FileNotFoundError, or ValueError for another file.
        """
        file = Path(path)
        if file.is_dir():
            file = file / "best.pt"
        saved = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(saved, dict) or not {"config", "model", "image_size", "num_classes"} <= saved.keys():
            raise ValueError(f"{file} is not a checkpoint of a scattering run")
        net = cls(ScatteringConfig(**saved["config"]), image_size=saved["image_size"], num_classes=saved["num_classes"])
        net.load_learnt_state(saved["model"])
        return net.eval()


def initial_blocks(config: ScatteringConfig) -> nn.ModuleList:
    """The extractor before any training, without the rest of the network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return _blocks(config)


def _blocks(config: ScatteringConfig) -> nn.ModuleList:
    return nn.ModuleList(
        ScatteringBlock(
            shape,
            L=config.L,
            kernel_size=config.kernel_size,
            modulus_type=config.modulus_type,
            random_init=config.random_init,
        )
        for shape in config.block_shapes()
    )
