"""One scattering block: K x K filters, a 2x2 stride-2 kernel, a modulus.

The definition filters at full resolution and then applies the 2x2 kernel p with stride 2. With w the filter, h = K // 2
and x zero outside the image,

    y[i] = sum_a p[a] sum_k w[k] x[2i + a + k - h] = sum_k w[k] u[2i + k - h],   u[j] = sum_a p[a] x[j + a]

so filtering u, which is one pixel larger than x, with stride 2 gives the same at a quarter of the positions: K^2
multiplications for each output instead of 4 K^2, no map at full resolution, and the parameters stay those of the
definition.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.scattering import filters
from trainables.scattering.config import BlockShape, ModulusType


class ScatteringBlock(nn.Module):
    """Maps [B, C, M, N] to [B, C_out, M // 2, N // 2], C_out = C (1 + L), or C where the block is low-pass only.

    Parameters (g groups, c = C / g channels each): `phi` [C, c, K, K], `psi_real` and `psi_imag` [C L, c, K, K] whose
    channel C_i L + l is input channel C_i at orientation l, `pool` [2, 2], and for phase_relu `collapse` [C L, 4].
    """

    def __init__(
        self,
        shape: BlockShape,
        *,
        L: int,
        kernel_size: int,
        modulus_type: ModulusType = "complex_modulus",
        random_init: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.L, self.kernel_size = shape, L, kernel_size
        C, c, K = shape.in_channels, shape.mixing_horizon, kernel_size
        self.phi = nn.Parameter(torch.empty(C, c, K, K))
        self.psi_real = self.psi_imag = self.collapse = None
        if not shape.lowpass_only:
            self.psi_real = nn.Parameter(torch.empty(C * L, c, K, K))
            self.psi_imag = nn.Parameter(torch.empty(C * L, c, K, K))
            if modulus_type == "phase_relu":
                self.collapse = nn.Parameter(torch.full((C * L, 4), math.sqrt(0.5)))
        self.pool = nn.Parameter(torch.full((2, 2), 0.25))
        self._at_wavelet_init: list[int] | None = None
        self.reset_filters(random_init=random_init)

    def _filters(self) -> list[nn.Parameter]:
        return [w for w in (self.phi, self.psi_real, self.psi_imag) if w is not None]

    @torch.no_grad()
    def reset_filters(self, *, random_init: bool) -> None:
        """Set the filters to the wavelets, each on its own channel, or to PyTorch's default initialisation."""
        if random_init:
            for weight in self._filters():
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
            return
        for weight, bank in zip(self._filters(), self._wavelet_bank(), strict=True):
            own_channel(weight.zero_(), self.shape).copy_(bank)

    def _wavelet_bank(self) -> list[Tensor]:
        """The initial filters of one channel: phi [1, K, K], then psi's real and imaginary parts [L, K, K]."""
        real, imag = filters.wavelets(self.kernel_size, self.L)
        return [filters.lowpass(self.kernel_size)[None], real, imag][: len(self._filters())]

    @torch.no_grad()
    def freeze(self) -> None:
        """Stop learning. A block whose filters still are the wavelets then filters every channel by the same bank."""
        self.requires_grad_(False)
        matches = []
        for weight, bank in zip(self._filters(), self._wavelet_bank(), strict=True):
            own = own_channel(weight, self.shape)
            same = bool((own == bank.to(weight.device)).all())
            matches.append(same and torch.count_nonzero(weight) == torch.count_nonzero(own))
        self._at_wavelet_init = self._versions() if all(matches) else None

    def unfreeze(self) -> None:
        """Learn again."""
        self.requires_grad_(True)
        self._at_wavelet_init = None

    def _versions(self) -> list[int]:
        """Counters that every change in place increments, an optimiser's step or load_state_dict among them."""
        return [w._version for w in self._filters()]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, M, N] -> [B, C_out, M // 2, N // 2]."""
        B, C, M, N = x.shape
        u = F.conv2d(x.reshape(B * C, 1, M, N), self.pool[None, None], padding=1)
        frozen_wavelets = self._at_wavelet_init is not None and self._at_wavelet_init == self._versions()
        low, *oriented = (
            self._shared_filters(u, B) if frozen_wavelets else self._own_filters(u.view(B, C, M + 1, N + 1))
        )
        if not oriented:
            return low
        return torch.cat([low, self._modulus(*oriented)], dim=1)

    def _shared_filters(self, u: Tensor, B: int) -> list[Tensor]:
        """Filter [B C, 1, M + 1, N + 1] as B C images of one channel by the bank that all channels share."""
        bank = torch.cat([own_channel(w.detach(), self.shape)[0, 0] for w in self._filters()])
        y = _strided_conv(u, _used_taps(bank[:, None], u), self.kernel_size, groups=1)
        y = y.view(B, self.shape.in_channels, -1, *y.shape[-2:])
        return [part.flatten(1, 2) for part in y.split(self._per_channel(), dim=2)]

    def _own_filters(self, u: Tensor) -> list[Tensor]:
        """Filter [B, C, M + 1, N + 1] by phi and psi in one grouped convolution."""
        g, c = self.shape.groups, self.shape.mixing_horizon
        weights = [_used_taps(w, u).unflatten(0, (g, -1)) for w in self._filters()]
        weight = torch.cat(weights, dim=1) if len(weights) > 1 else weights[0]
        y = _strided_conv(u, weight.flatten(0, 1), self.kernel_size, groups=g).unflatten(1, (g, -1))
        return [part.flatten(1, 2) for part in y.split([c * n for n in self._per_channel()], dim=2)]

    def _per_channel(self) -> list[int]:
        """Filters for each input channel: of phi, of psi's real and of its imaginary parts."""
        return [1, self.L, self.L][: len(self._filters())]

    def _modulus(self, re: Tensor, im: Tensor) -> Tensor:
        if self.collapse is None:
            return torch.sqrt(re.square() + im.square() + 1e-8)
        phases = (re.relu(), im.relu(), (-re).relu(), (-im).relu())
        weights = self.collapse[:, :, None, None].unbind(1)
        return sum(w * phase for w, phase in zip(weights, phases, strict=True))


def own_channel(weight: Tensor, shape: BlockShape) -> Tensor:
    """View of [C n, c, K, K] that holds each filter's taps on its own input channel, [g, c, n, K, K]."""
    blocks = weight.unflatten(0, (shape.groups, shape.mixing_horizon, -1))  # [g, c, n, c, K, K]
    return blocks.diagonal(dim1=1, dim2=3).permute(0, 4, 1, 2, 3)


def _used_taps(weight: Tensor, u: Tensor) -> Tensor:
    """View of [..., K, K] without the outer taps that only ever meet the padding of a small u [..., M + 1, N + 1]."""
    K = weight.shape[-1]
    rows, cols = (max(0, K // 2 + 2 - size) for size in u.shape[-2:])
    return weight[..., rows : K - rows, cols : K - cols]


def _strided_conv(u: Tensor, weight: Tensor, K: int, *, groups: int) -> Tensor:
    """Stride-2 filtering of u, one pixel larger than the image, by the used taps of K x K filters.

    At four output positions or fewer a matrix product over unfolded patches trains 2 to 6 times as fast on CPU as the
    library's convolution, which has no good backward kernels there.
    """
    padding = [K // 2 - 1 - (K - taps) // 2 for taps in weight.shape[-2:]]
    height, width = ((size - 1) // 2 for size in u.shape[-2:])
    if u.device.type != "cpu" or height * width > 4:
        return F.conv2d(u, weight, stride=2, padding=padding, groups=groups)
    patches = F.unfold(u, weight.shape[-2:], stride=2, padding=padding).unflatten(1, (groups, -1))
    y = torch.einsum("gok,bgkp->bgop", weight.flatten(1).unflatten(0, (groups, -1)), patches)
    return y.flatten(1, 2).unflatten(-1, (height, width))
