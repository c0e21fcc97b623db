"""A scattering block: K x K filters, a 2x2 kernel of stride 2, and a modulus, with the parameters of the definition."""

import math

import torch
from torch import Tensor, nn

from trainables.scattering import filters
from trainables.scattering.config import BlockShape, ModulusType
from trainables.scattering.filtering import lowpass_and_modulus, own_filters, shared_filters


class ScatteringBlock(nn.Module):
    """Maps [B, C, M, N] to [B, C_out, M // 2, N // 2] with C_out = C (1 + L), or C where the block is low-pass only.

    With g groups of c = C / g channels, the parameters are `phi` [C, c, K, K], `psi_real` and `psi_imag` [C L, c, K, K]
    whose channel C_i L + l is input channel C_i at orientation l, `pool` [2, 2], and for phase_relu `collapse`
    [C L, 4].
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
        self._versions_at_wavelets: list[int] | None = None
        """The weights' versions at which all channels share one bank of filters; None where they do not."""
        self._shared_collapse: float | None = None
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
        """Stop learning. If the filters still are the wavelets, all channels are then filtered by one bank of them."""
        self.requires_grad_(False)
        self._versions_at_wavelets = None
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
        """Filter all channels by one bank, the wavelets, until a weight changes.

        The filters must be the wavelets. `collapse` is the value that all weights of that name have, None without
        phase_relu.
        """
        self._versions_at_wavelets, self._shared_collapse = self._versions(), collapse

    def unfreeze(self) -> None:
        """Let all parameters learn again."""
        self.requires_grad_(True)
        self._versions_at_wavelets = None

    def _versions(self) -> list[int]:
        """The counters of the weights that each change in place increments, as by an optimiser or load_state_dict."""
        return [w._version for w in (*self._filters(), self.collapse) if w is not None]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, M, N] -> [B, C_out, M // 2, N // 2]."""
        if self._versions_at_wavelets is not None and self._versions_at_wavelets == self._versions():
            bank = torch.cat([own_channel(w.detach(), self.shape)[0, 0] for w in self._filters()])
            return shared_filters(x, bank, self.pool.detach(), self._shared_collapse)
        g, L = self.shape.groups, self.L
        weight = torch.cat([w.unflatten(0, (g, -1)) for w in self._filters()], dim=1).flatten(0, 1)
        y = own_filters(x, weight, self.pool, g)
        if self.shape.lowpass_only:
            return y
        return lowpass_and_modulus(y, self.collapse, g, L)


def own_channel(weight: Tensor, shape: BlockShape) -> Tensor:
    """A view [g, c, n, K, K] of weights [C n, c, K, K] that holds each filter's taps on its own input channel."""
    blocks = weight.unflatten(0, (shape.groups, shape.mixing_horizon, -1))  # [g, c, n, c, K, K]
    return blocks.diagonal(dim1=1, dim2=3).permute(0, 4, 1, 2, 3)
