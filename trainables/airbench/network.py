"""The airbench network: a whitening stem, three groups of two 3x3 convolutions, a linear head; 1.97 M parameters."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.airbench import chains
from trainables.airbench.config import STEM_CHANNELS, WIDTHS, AirbenchConfig
from trainables.airbench.layers import conv_pool, whitened

WHITENING_EPS = 5e-4
"""Added to the eigenvalues of the patches' second moment."""
WHITENING_IMAGES = 5000
"""Training images, the first ones, from which the whitening filters are computed."""


def make_net(config: AirbenchConfig, num_classes: int = 10, *, dtype: torch.dtype = torch.float32) -> "AirbenchNet":
    """A freshly initialised network that computes in `dtype`. A whitening stem still needs `init_whitening`."""
    return AirbenchNet(config, num_classes, dtype=dtype).to(memory_format=torch.channels_last)


def compute_dtype(config: AirbenchConfig, device: torch.device) -> torch.dtype:
    """The type that a configuration's `precision` means on a device."""
    if config.precision != "auto":
        return getattr(torch, config.precision)
    if device.type == "cuda":
        return torch.float16
    # These processors multiply bfloat16 numbers themselves; others would emulate it.
    has = torch.cpu.get_capabilities()
    return torch.bfloat16 if has.get("amx_bf16") or has.get("avx512_bf16") else torch.float32


class BatchNorm(nn.BatchNorm2d):
    """Batch norm in float32 with weights fixed at one, which keeps `momentum` of its running statistics in a step."""

    def __init__(self, channels: int, momentum: float) -> None:
        super().__init__(channels, eps=1e-12, momentum=1 - momentum)
        self.weight.requires_grad_(False)


class Stem(nn.Module):
    """A 2x2 convolution to 24 channels, followed by its bias or by a BatchNorm, and GELU."""

    def __init__(self, config: AirbenchConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, STEM_CHANNELS, 2, bias=config.stem == "bias")
        self.conv.weight.requires_grad_(not config.whiten)
        self.norm = BatchNorm(STEM_CHANNELS, config.bn_momentum) if config.stem == "norm" else None

    @property
    def bias(self) -> nn.Parameter:
        """The bias that `freeze` freezes."""
        return self.conv.bias if self.norm is None else self.norm.bias

    @torch.no_grad()
    def init_whitening(self, x: Tensor) -> None:
        """Set the filters from normalised images [B, 3, H, W] (arXiv 2404.00498).

        They are the eigenvectors of the uncentred second moment of 2x2 patches, each over sqrt(eigenvalue + 5e-4), the
        largest first, and then their negatives. Grey images fill four of the twelve dimensions, whose filters are
        then repeated, since the BatchNorm that follows cannot normalise a channel that is always zero.
        """
        moment, count = torch.zeros(12, 12, dtype=torch.float64, device=x.device), 0
        for images in x.split(500):
            patches = F.unfold(images.float(), 2).transpose(0, 1).flatten(1).double()
            moment += patches @ patches.T
            count += patches.shape[1]
        eigenvalues, eigenvectors = torch.linalg.eigh(moment / count)
        filters = (eigenvectors / (eigenvalues + WHITENING_EPS).sqrt()).T.flip(0)
        filters = filters[: (eigenvalues > 1e-6 * eigenvalues[-1]).sum()]
        filters = filters[torch.arange(12, device=x.device) % len(filters)]
        self.conv.weight.copy_(torch.cat([filters, -filters]).view_as(self.conv.weight))

    def forward(self, x: Tensor, dtype: torch.dtype, *, bias_learns: bool) -> Tensor:
        """[B, 3, H, W] -> [B, 24, H - 1, W - 1] of `dtype`."""
        bias, norm = self.bias if bias_learns else self.bias.detach(), self.norm
        is_fused = self.training and chains.can_fuse(x.device, dtype)
        if norm is None and not is_fused:
            return F.gelu(whitened(x, self.conv.weight, bias, dtype))
        x = F.conv2d(x.to(dtype), self.conv.weight.to(dtype))
        if is_fused:
            return chains.bias_gelu(x, bias) if norm is None else chains.norm_gelu(x, norm, bias)
        return F.gelu(
            F.batch_norm(
                x, norm.running_mean, norm.running_var, norm.weight, bias, self.training, norm.momentum, norm.eps
            )
        )


class Group(nn.Module):
    """Applies conv, max-pool 2, norm, GELU, conv, norm and GELU; both convolutions are 3x3, padded, without bias."""

    def __init__(self, in_channels: int, out_channels: int, bn_momentum: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = BatchNorm(out_channels, bn_momentum)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = BatchNorm(out_channels, bn_momentum)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, D, H // 2, W // 2]."""
        if self.training and chains.can_fuse(x.device, x.dtype):
            for conv, norm, pool in ((self.conv1, self.norm1, 2), (self.conv2, self.norm2, 1)):
                norm.num_batches_tracked.add_(1)
                x = chains.norm_gelu(F.conv2d(x, conv.weight.to(x.dtype), padding=1), norm, norm.bias, pool)
            return x
        x = conv_pool(x, self.conv1.weight.to(x.dtype))
        x = F.gelu(self.norm1(x))
        x = F.conv2d(x, self.conv2.weight.to(x.dtype), padding=1)
        return F.gelu(self.norm2(x))


class AirbenchNet(nn.Module):
    """Gives the logits of 32x32 images. It computes in `dtype`; weights, statistics and logits are float32."""

    def __init__(self, config: AirbenchConfig, num_classes: int = 10, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config, self.dtype = config, dtype
        channels = (STEM_CHANNELS, *WIDTHS)
        self.stem = Stem(config)
        self.groups = nn.Sequential(*(Group(i, o, config.bn_momentum) for i, o in zip(channels, WIDTHS, strict=False)))
        self.head = nn.Linear(WIDTHS[-1], num_classes, bias=False)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self) -> None:
        """Start again from PyTorch's initialisation, changed as `dirac` and `unit_head` say."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | BatchNorm):
                module.reset_parameters()
            if isinstance(module, nn.Conv2d) and self.config.dirac and module.kernel_size == (3, 3):
                nn.init.dirac_(module.weight[: module.in_channels])
        if self.config.unit_head:
            self.head.weight /= self.head.weight.std()

    def forward(self, x: Tensor, stem_bias_learns: bool = True) -> Tensor:
        """Normalised images [B, 3, 32, 32] -> logits [B, classes]."""
        x = self.groups(self.stem(x, self.dtype, bias_learns=stem_bias_learns))
        is_fused = self.training and chains.can_fuse(x.device, x.dtype)
        x = (chains.max_pool if is_fused else F.max_pool2d)(x, 3).flatten(1)
        return F.linear(x, self.head.weight.to(x.dtype)).float() * self.config.logit_scale

    def norm_biases(self) -> list[nn.Parameter]:
        """The biases whose rate `scalebias` raises."""
        return [module.bias for module in self.modules() if isinstance(module, BatchNorm)]
