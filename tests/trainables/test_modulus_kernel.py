"""The kernels of the modulus and its gradient against PyTorch's own operations, in Triton's interpreter."""

import pytest
import torch

from tests.conftest import run
from tests.trainables.interpreted_modulus import CASES, LAYOUTS, TYPES
from trainables.scattering import ScatteringConfig, ScatteringNet, own_kernels

TOLERANCE = {"torch.float32": 2e-6, "torch.bfloat16": 2**-6, "torch.float16": 2**-10}
"""Of the largest value: units in the last place of what is read and written."""


def test_in_the_interpreter_they_are_pytorchs_operations():
    pytest.importorskip("triton", reason="Triton is not installed on this machine")
    ran = run("-m", "tests.trainables.interpreted_modulus", TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    assert ran.returncode == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert len(lines) == (len(CASES) - 1 + len(TYPES)) * len(LAYOUTS) * 2
    for dtype, difference in lines:
        assert float(difference) <= TOLERANCE[dtype], (dtype, difference)


@pytest.mark.parametrize("modulus_type", ["complex_modulus", "phase_relu"])
def test_a_block_takes_them_where_they_can_be_used(modulus_type, monkeypatch):
    """What stands for the kernel here returns zeros, which the classifier then sees."""
    asked = []

    def kernel(y, weights, groups, L, epsilon):
        asked.append((None if weights is None else tuple(weights.shape), groups, L))
        return y.new_zeros(len(y), y.shape[1] // (1 + 2 * L) * (1 + L), *y.shape[2:])

    monkeypatch.setattr(own_kernels, "collapsed", kernel)
    net = ScatteringNet(
        ScatteringConfig(n_blocks=2, L=2, kernel_size=3, modulus_type=modulus_type), image_size=8, num_classes=3
    )
    features = net.features(torch.randn(2, 3, 8, 8))
    phases = modulus_type == "phase_relu"
    assert asked == [((6, 4) if phases else None, 1, 2), ((18, 4) if phases else None, 1, 2)]
    assert not features.any()
