"""The kernel of frozen wavelets against the library's convolutions, in Triton's interpreter; what stands in for it."""

import pytest
import torch

from tests.conftest import run
from trainables.scattering import own_kernels
from trainables.triton_kernels import KernelModule

pytest.importorskip("triton", reason="Triton is not installed on this machine")

TOLERANCE = {"torch.float32": 2e-6, "torch.bfloat16": 2**-7, "torch.float16": 2**-10}
"""Of the largest value: a unit in the last place of what is written, as the interpreter cuts off what bfloat16 does not
hold, and float32's sums in another order."""


def test_in_the_interpreter_it_is_the_librarys_form():
    ran = run("-m", "tests.trainables.interpreted", TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    assert ran.returncode == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert len(lines) == 18
    for dtype, difference in lines:
        assert float(difference) <= TOLERANCE[dtype], (dtype, difference)


def test_on_a_cpu_it_is_not_tried(monkeypatch):
    monkeypatch.setattr(own_kernels, "wavelets", None)
    assert own_kernels.filtered(torch.ones(1, 1, 4, 4), torch.ones(1, 6, 6), None, 1e-8) is None


def test_what_keeps_it_from_being_used_is_said_once(monkeypatch, capsys):
    class OnGpu:
        is_cuda = True

    def broken(*args):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    kernels = KernelModule(own_kernels.wavelets.name, own_kernels.wavelets.instead)
    monkeypatch.setattr(kernels.module, "filtered", broken)
    monkeypatch.setattr(own_kernels, "wavelets", kernels)
    for _ in range(2):
        assert own_kernels.filtered(OnGpu(), torch.ones(1, 6, 6), None, 1e-8) is None
    said = "frozen wavelets are filtered by PyTorch's convolutions (RuntimeError: Failed to find C compiler.)\n"
    assert capsys.readouterr().err == said


def test_too_little_memory_is_no_reason_to_do_without_it(monkeypatch):
    class OnGpu:
        is_cuda = True

    def full(*args):
        raise torch.OutOfMemoryError

    kernels = KernelModule(own_kernels.wavelets.name, own_kernels.wavelets.instead)
    monkeypatch.setattr(kernels.module, "filtered", full)
    monkeypatch.setattr(own_kernels, "wavelets", kernels)
    with pytest.raises(torch.OutOfMemoryError):
        own_kernels.filtered(OnGpu(), torch.ones(1, 6, 6), None, 1e-8)
    assert not kernels.refusal
