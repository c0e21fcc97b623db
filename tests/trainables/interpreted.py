"""Compares the kernel of frozen wavelets with the library's form, in Triton's interpreter.

It is a process of its own, as TRITON_INTERPRET has to be set before Triton is imported.
"""

import torch

from trainables.device import cpu_as_gpu
from trainables.scattering import filtering, wavelet_kernel

CASES = (
    # images, channels, rows, columns, orientations, side of the filters, weight of phase ReLU
    (2, 3, 16, 16, 4, 5, None),
    (1, 2, 13, 9, 3, 3, 0.7),
    (2, 1, 8, 8, 0, 5, None),
    (1, 5, 40, 24, 8, 7, None),
    (3, 1, 2, 2, 1, 5, 0.5),
    (1, 2, 37, 33, 5, 5, None),
)


def main() -> None:
    """Print, for each case and type, the largest difference over the largest value."""
    torch.manual_seed(0)
    for B, C, M, N, L, K, collapse in CASES:
        x, bank, pool = torch.randn(B, C, M, N), torch.randn(1 + 2 * L, K, K), torch.full((2, 2), 0.25)
        taps = filtering._fused(bank[:, None], pool)[:, 0]
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            with cpu_as_gpu():
                expected = filtering.shared_filters(x.to(dtype).float(), bank, pool, collapse)
            found = wavelet_kernel.filtered(x.to(dtype), taps, collapse, filtering.EPSILON)
            assert (found.dtype, found.shape) == (dtype, expected.shape)
            print(dtype, float((found.float() - expected).abs().max() / expected.abs().max()))


if __name__ == "__main__":
    main()
