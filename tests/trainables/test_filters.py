import numpy as np
import pytest

from tests.conftest import DATA
from trainables.scattering import filters


@pytest.fixture(scope="module")
def golden():
    return np.load(DATA / "filters.npz")


@pytest.mark.parametrize("K", [5, 7])
def test_lowpass_equals_the_original(golden, K):
    np.testing.assert_allclose(filters.lowpass(K), golden[f"phi_K{K}"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("K", [5, 7])
@pytest.mark.parametrize("L", [4, 6, 8])
def test_wavelets_equal_the_original(golden, K, L):
    real, imag = filters.wavelets(K, L)
    expected = golden[f"psi_K{K}_L{L}"]
    assert real.shape == (L, K, K)
    error = np.linalg.norm(real.numpy() + 1j * imag.numpy() - expected) / np.linalg.norm(expected)
    assert error < 1e-6


@pytest.mark.parametrize("L", [3, 4, 5, 8])
def test_wavelets_sum_to_zero_and_cover_half_a_turn(L):
    real, imag = filters.wavelets(7, L)
    assert abs(real.sum((1, 2))).max() < 1e-6
    assert abs(imag.sum((1, 2))).max() < 1e-6
    angles = filters.orientations(L)
    assert len(set(angles)) == L
    assert max(angles) - min(angles) == pytest.approx(np.pi * (L - 1) / L)
