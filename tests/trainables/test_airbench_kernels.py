"""The kernels between convolutions against the library's layers, in Triton's interpreter; what stands in for them."""

import pytest
import torch

from tests.conftest import run
from trainables.airbench import ABLATIONS, chains, make_net
from trainables.triton_kernels import KernelModule

pytest.importorskip("triton", reason="Triton is not installed on this machine")

TOLERANCE = {"float32": 1e-5, "bfloat16": 2**-7, "float16": 2**-10}
"""Of the largest value. In half precision it is a unit in the last place of what is written, as the interpreter cuts
off what bfloat16 does not hold. Statistics and the bias's gradient are float32 whatever the maps are."""


def interpreted(what):
    """The lines that `interpreted_chains` prints, in words."""
    ran = run("-m", "tests.trainables.interpreted_chains", what, TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    assert ran.returncode == 0, ran.stderr
    return [line.split() for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_outputs_gradients_and_running_statistics_are_the_librarys(precision):
    lines = interpreted(precision)
    assert len(lines) == 47
    for name, dtype, what, difference in lines:
        assert float(difference) <= TOLERANCE[dtype], (name, what)


def test_what_is_frozen_gets_no_gradient_and_leaves_the_others_as_they_are():
    assert interpreted("what_learns") == [["norm", "True", "True"], ["bias", "True", "True"]]


def test_nan_and_infinity_are_pooled_as_by_the_library():
    assert interpreted("not_numbers") == [["2", "True"], ["3", "True"]]


def test_variances_far_from_zero_lose_no_digits():
    [[difference]] = interpreted("many_positions")
    assert float(difference) <= 5e-5  # in float32, a sum of squares would be wrong from the first digit on


def test_a_whole_network_has_the_loss_gradients_and_statistics_of_the_librarys_layers():
    lines = interpreted("networks")
    assert [name for name, _ in lines] == ["mirror", "baseline", "bias_stem"]
    for name, difference in lines:
        assert float(difference) <= 1e-4, name


def test_on_a_cpu_they_are_not_tried(monkeypatch):
    monkeypatch.setattr(chains, "kernels", None)
    net = make_net(ABLATIONS["mirror"]).train()
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert not chains.can_fuse(torch.device("cpu"), torch.float16)


def test_they_are_not_used_in_code_that_is_compiled(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not chains.can_fuse(torch.device("cuda"), torch.float16)


def test_what_keeps_them_from_being_used_is_said_once(monkeypatch, capsys):
    def broken(device, dtype):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(chains, "_tried", broken)
    monkeypatch.setattr(chains, "kernels", KernelModule(chains.kernels.name, chains.kernels.instead))
    for _ in range(2):
        assert not chains.can_fuse(torch.device("cuda"), torch.float16)
    said = "pooling, norms and GELU are PyTorch's own (RuntimeError: Failed to find C compiler.)\n"
    assert capsys.readouterr().err == said


def test_without_triton_the_reason_is_its_absence(capsys):
    kernels = KernelModule("there_is_no_such_module", "the library does it")
    assert kernels.attempt(lambda module: module) is None
    said = "the library does it (ModuleNotFoundError: No module named 'there_is_no_such_module')\n"
    assert capsys.readouterr().err == said
