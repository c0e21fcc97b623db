"""Morlet and Gabor filters on a K x K grid, as pure functions.

The grid is centred, (x, y) = mgrid[-half : half + 1]^2 with half = K // 2, first axis x. With R the rotation by theta,

    gabor(x, y)  = exp(-q(x, y) + i xi (x cos theta + y sin theta)) / (2 pi sigma^2 / slant)
    q(x, y)      = (x, y) R(theta) diag(1, slant^2) R(-theta) (x, y)^T / (2 sigma^2)
    morlet       = gabor(xi) - k gabor(0),  k such that the sum over the grid is zero

as in Bruna and Mallat, "Invariant Scattering Convolution Networks" (2013), sampled without periodisation.
"""

import math

import numpy as np
import torch
from torch import Tensor

SIGMA = 0.8
"""Width of the envelope in pixels."""
XI = 3 * math.pi / 4
"""Frequency of the wave in radians for a pixel."""


def gabor(K: int, *, theta: float, xi: float, slant: float, sigma: float = SIGMA) -> np.ndarray:
    """A Gabor filter, complex128 [K, K]."""
    half = K // 2
    x, y = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    cos, sin = math.cos(theta), math.sin(theta)
    along, across = x * cos + y * sin, -x * sin + y * cos
    envelope = np.exp(-(along**2 + slant**2 * across**2) / (2 * sigma**2))
    return envelope * np.exp(1j * xi * along) / (2 * math.pi * sigma**2 / slant)


def morlet(K: int, *, theta: float, slant: float, xi: float = XI, sigma: float = SIGMA) -> np.ndarray:
    """A Morlet wavelet, complex128 [K, K], that sums to zero."""
    wave = gabor(K, theta=theta, xi=xi, slant=slant, sigma=sigma)
    envelope = gabor(K, theta=theta, xi=0.0, slant=slant, sigma=sigma)
    return wave - wave.sum() / envelope.sum() * envelope


def orientations(L: int) -> list[float]:
    """The angles theta_l = (int(L - L/2 - 1) - l) pi / L for l = 0 .. L - 1."""
    return [(int(L - L / 2 - 1) - l) * math.pi / L for l in range(L)]  # noqa: E741


def lowpass(K: int) -> Tensor:
    """The low-pass filter phi, the real part of an isotropic Gabor filter at frequency zero, float32 [K, K]."""
    return torch.from_numpy(gabor(K, theta=0.0, xi=0.0, slant=1.0).real.astype(np.float32))


def wavelets(K: int, L: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts of the L Morlet wavelets psi, each float32 [L, K, K], with slant 4 / L."""
    psi = np.stack([morlet(K, theta=theta, slant=4.0 / L) for theta in orientations(L)]).astype(np.complex64)
    return torch.from_numpy(psi.real.copy()), torch.from_numpy(psi.imag.copy())
