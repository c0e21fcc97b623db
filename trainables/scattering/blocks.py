"""One scattering block: K x K filters, a 2x2 stride-2 kernel, a modulus. Its parameters are those of the definition."""

import math

import torch
from torch import Tensor, nn

from trainables.scattering import filters
from trainables.scattering.config import BlockShape, ModulusType
from trainables.scattering.filtering import lowpass_and_modulus, own_filters, shared_filters, split_groups


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
        self._frozen_collapse: float | None = None
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
        self._at_wavelet_init = None
        matches = []
        for weight, bank in zip(self._filters(), self._wavelet_bank(), strict=True):
            own = own_channel(weight, self.shape)
            same = bool((own == bank.to(weight.device)).all())
            matches.append(same and torch.count_nonzero(weight) == torch.count_nonzero(own))
        collapse = None
        if self.collapse is not None:
            collapse = self.collapse[0, 0].item()
            matches.append(bool((self.collapse == collapse).all()))
        if all(matches):
            self.share_bank(collapse)

    def share_bank(self, collapse: float | None) -> None:
        """Filter every channel by the wavelets, which the filters must be, until a weight changes.

        `collapse` is the value of all its weights, None without phase_relu.
        """
        self._at_wavelet_init, self._frozen_collapse = self._versions(), collapse

    def unfreeze(self) -> None:
        """Learn again."""
        self.requires_grad_(True)
        self._at_wavelet_init = None

    def _versions(self) -> list[int]:
        """Counters that every change in place increments, an optimiser's step or load_state_dict among them."""
        return [w._version for w in (*self._filters(), self.collapse) if w is not None]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, M, N] -> [B, C_out, M // 2, N // 2]."""
        if self._at_wavelet_init is not None and self._at_wavelet_init == self._versions():
            bank = torch.cat([own_channel(w.detach(), self.shape)[0, 0] for w in self._filters()])
            return shared_filters(x, bank, self.pool.detach(), self._frozen_collapse)
        g, L = self.shape.groups, self.L
        weight = torch.cat([w.unflatten(0, (g, -1)) for w in self._filters()], dim=1).flatten(0, 1)
        y = own_filters(x, weight, self.pool, g)
        if self.shape.lowpass_only:
            return y
        if self.collapse is None:
            return lowpass_and_modulus(y, g, L)
        low, re, im = (part.flatten(1, 2) for part in split_groups(y, g, L))
        phases = (re.relu(), im.relu(), (-re).relu(), (-im).relu())
        weights = self.collapse[:, :, None, None].unbind(1)
        return torch.cat([low, sum(w * phase for w, phase in zip(weights, phases, strict=True))], dim=1)


def own_channel(weight: Tensor, shape: BlockShape) -> Tensor:
    """View of [C n, c, K, K] that holds each filter's taps on its own input channel, [g, c, n, K, K]."""
    blocks = weight.unflatten(0, (shape.groups, shape.mixing_horizon, -1))  # [g, c, n, c, K, K]
    return blocks.diagonal(dim1=1, dim2=3).permute(0, 4, 1, 2, 3)
