"""Compares the kernels of the modulus and its gradient with PyTorch's own operations, in Triton's interpreter.

It is a process of its own, as TRITON_INTERPRET has to be set before Triton is imported.
"""

import torch

from trainables.scattering import filtering, modulus_kernel

CASES = (
    # images, groups, channels of a group, orientations, rows, columns
    (3, 1, 3, 4, 5, 7),
    (2, 4, 5, 2, 4, 4),
    (1, 2, 1, 1, 1, 1),
    (1, 1, 40, 1, 2, 2),
    (3, 1, 1, 1, 21, 21),
)

TYPES = (torch.float32, torch.bfloat16, torch.float16)
"""The first case is computed in all of them."""

LAYOUTS = ("rows", "channels last", "channels last, padded")


def main() -> None:
    """Print, for each case, layout and type, the largest difference of output and gradients over the largest value."""
    torch.manual_seed(0)
    for case in CASES:
        B, g, c, L, M, N = case
        for layout in LAYOUTS:
            for dtype in TYPES if case is CASES[0] else TYPES[:1]:
                for weights in (None, torch.randn(g * c * L, 4)):
                    y = laid_out(torch.randn(B, g * c * (1 + 2 * L), M, N).to(dtype), layout)
                    grad = torch.randn(B, g * c * (1 + L), M, N)
                    print(dtype, compared(y, weights, grad, g, L))


def laid_out(y: torch.Tensor, layout: str) -> torch.Tensor:
    """The same numbers in another layout; padded, with two more channels in memory that are none of its own."""
    if layout == "rows":
        return y
    more = torch.full((len(y), 2 * ("padded" in layout), *y.shape[2:]), float("nan"), dtype=y.dtype)
    return torch.cat([y, more], 1).contiguous(memory_format=torch.channels_last)[:, : y.shape[1]]


def compared(y: torch.Tensor, weights: torch.Tensor | None, grad: torch.Tensor, groups: int, L: int) -> float:
    """The largest difference of output, gradient of y and gradient of weights, each over its largest value."""
    learning = [part.float().clone().requires_grad_() for part in (y, weights) if part is not None]
    expected = filtering.lowpass_and_modulus(learning[0], learning[1] if weights is not None else None, groups, L)
    gradients = torch.autograd.grad(expected, learning, grad)
    out = modulus_kernel.forward(y, weights, groups, L, filtering.EPSILON)
    assert out.dtype == (torch.float32 if y.dtype == torch.float16 else y.dtype)
    found = modulus_kernel.backward(grad.to(out.dtype), y, weights, groups, L, filtering.EPSILON)
    assert found[0].dtype == y.dtype
    pairs = zip((out, *found), (expected, *gradients), strict=False)
    return max(float((own.float() - theirs).abs().max() / theirs.abs().max()) for own, theirs in pairs)


if __name__ == "__main__":
    main()
