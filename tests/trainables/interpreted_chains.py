"""Compares the kernels of chains between convolutions with the library's layers, in Triton's interpreter.

It is a process of its own, as TRITON_INTERPRET has to be set before Triton is imported.
"""

import sys
from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from trainables.airbench import ABLATIONS, chains, make_net, network

CASES = {
    # images, channels, rows, columns, pooling, what it is
    "pooled": (5, 64, 7, 7, 2, "norm"),
    "pooled_odd_and_even": (3, 24, 5, 6, 2, "norm"),
    "pooled_256": (3, 256, 5, 4, 2, "norm"),
    "pooled_ties": (6, 20, 15, 4, 2, "norm"),
    "normed": (3, 256, 3, 3, 1, "norm"),
    "normed_24": (2, 24, 31, 31, 1, "norm"),
    "biased_24": (3, 24, 9, 7, 1, "bias"),
    "pool_alone": (3, 64, 3, 3, 3, "pool"),
    "pool_alone_odd": (5, 20, 7, 8, 3, "pool"),
    "pool_alone_ties": (2, 24, 7, 6, 3, "pool"),
}


def library(x, bias, norm, pool, kind):
    """The definition, in the type of `x`."""
    x = F.max_pool2d(x, pool) if pool > 1 else x
    if kind == "pool":
        return x
    if kind == "bias":
        return F.gelu(x + bias[:, None, None])
    ones, running = torch.ones_like(bias), (norm.running_mean, norm.running_var)
    return F.gelu(F.batch_norm(x, *running, ones, bias, True, norm.momentum, norm.eps))


def kernels(x, bias, norm, pool, kind):
    """The same by our kernels."""
    if kind == "pool":
        return chains.max_pool(x, pool)
    return chains.bias_gelu(x, bias) if kind == "bias" else chains.norm_gelu(x, norm, bias, pool)


def a_norm(C, dtype):
    """A norm that has seen some batches."""
    norm = nn.BatchNorm2d(C, eps=1e-12, momentum=0.4, dtype=dtype)
    norm.running_mean.copy_(torch.linspace(-1, 1, C))
    norm.running_var.copy_(torch.linspace(0.5, 2, C))
    return norm


def results(form, x, bias, pool, kind, *, x_learns=True, bias_learns=True):
    """The output of a form, its gradients, and the running statistics it has left."""
    norm = a_norm(len(bias), bias.dtype)
    x, bias = x.clone().requires_grad_(x_learns), bias.clone().requires_grad_(bias_learns)
    y = form(x, bias, norm, pool, kind)
    weights = torch.randint(-8, 9, y.shape, generator=torch.Generator().manual_seed(1))
    y.backward((weights / 8).to(y.dtype))
    found = {"output": y.detach(), "of_x": x.grad, "of_bias": bias.grad}
    return found | {"running_mean": norm.running_mean, "running_var": norm.running_var}


def compare(name, dtype):
    """Print the largest differences over the largest value, to the definition in float64 of the same inputs."""
    B, C, H, W, pool, kind = CASES[name]
    x = torch.randint(-2, 3, (B, C, H, W)) if "ties" in name else 3 + torch.randn(B, C, H, W)
    x, bias = x.to(dtype).to(memory_format=torch.channels_last), torch.randn(C)
    expected = results(library, x.double(), bias.double(), pool, kind)
    for what, value in results(kernels, x, bias, pool, kind).items():
        if expected[what] is None:
            assert value is None
            continue
        of_maps = what in ("output", "of_x")
        assert (value.dtype, value.shape) == (dtype if of_maps else torch.float32, expected[what].shape)
        assert not of_maps or value.is_contiguous(memory_format=torch.channels_last)
        difference = (value - expected[what]).abs().max() / expected[what].abs().max()
        print(name, str(dtype).removeprefix("torch.") if of_maps else "float32", what, float(difference))


def what_learns():
    """Print whether a frozen bias and frozen inputs leave the other gradient as it is, bit by bit."""
    x, bias = torch.randn(3, 24, 5, 5), torch.randn(24)
    for kind in ("norm", "bias"):
        run = partial(results, kernels, x, bias, 1, kind)
        both, frozen_bias, frozen_x = run(), run(bias_learns=False), run(x_learns=False)
        assert frozen_bias["of_bias"] is None
        assert frozen_x["of_x"] is None
        print(kind, torch.equal(frozen_bias["of_x"], both["of_x"]), torch.equal(frozen_x["of_bias"], both["of_bias"]))


def not_numbers():
    """Print whether NaN and infinity end up where the library has them, and pull the gradient there."""
    x = torch.randn(4, 8, 6, 6)
    x[0, 0, 1, 1] = x[1, 3, 2, 2] = x[1, 3, 3, 3] = float("nan")
    x[2, 4, 0, 0], x[3, 5] = float("inf"), -float("inf")
    for side in (2, 3):
        expected, found = (results(form, x, torch.ones(8), side, "pool") for form in (library, kernels))
        print(
            side, all(torch.equal(found[what].nan_to_num(), expected[what].nan_to_num()) for what in ("output", "of_x"))
        )


def many_positions():
    """Print the largest relative difference of statistics whose mean is far from 0.

    There are more tiles than programs, which are merged in more than one turn.
    """
    chains.PROGRAMS, chains.MERGED = 3, 2
    x = 1000 + torch.randn(8, 24, 12, 12)
    expected = results(library, x.double(), torch.zeros(24).double(), 2, "norm")
    found = results(kernels, x, torch.zeros(24), 2, "norm")
    print(max(float((found[what] / expected[what] - 1).abs().max()) for what in ("running_mean", "running_var")))


def networks():
    """Print the largest difference of a narrow network's loss, gradients and buffers, relative to the largest value of
    each; the stem's bias learns in the first two networks. Large tiles take the interpreter less time."""
    network.WIDTHS, chains.ROWS, chains.POOLED_ROWS = (8, 12, 20), 1024, 256
    for ablation, stem_learns in (("mirror", True), ("baseline", True), ("bias_stem", False)):
        net = make_net(ABLATIONS[ablation]).train()
        net.stem.bias.requires_grad_(stem_learns)
        x, labels = torch.randn(3, 3, 32, 32), torch.arange(3)
        found = []
        for chains.can_fuse in (lambda *_: False, lambda *_: True):
            own = deepcopy(net)
            loss = F.cross_entropy(own(x, stem_learns), labels, reduction="sum")
            loss.backward()
            gradients = {f"of {name}": p.grad for name, p in own.named_parameters() if p.grad is not None}
            found.append({"loss": loss.detach(), **gradients, **dict(own.named_buffers())})
        expected, fused = found
        assert expected.keys() == fused.keys()
        apart = [(fused[k] - v).abs().max() / v.abs().max().clamp(min=1e-6) for k, v in expected.items()]
        print(ablation, float(max(apart)))


def main() -> None:
    """Do what the first argument names: one of the functions above, or a type in which all cases are compared."""
    torch.manual_seed(0)
    if sys.argv[1] in ("what_learns", "not_numbers", "many_positions", "networks"):
        globals()[sys.argv[1]]()
        return
    for name in CASES:
        compare(name, getattr(torch, sys.argv[1]))


if __name__ == "__main__":
    main()
