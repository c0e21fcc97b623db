"""How fast this machine multiplies matrices, by which training times are guessed where nothing has been measured."""

import time

import torch

SECONDS = 0.3
"""Products are timed for so long; the fastest counts, which other load on the machine disturbs least."""
SIDES = {"cpu": 384, "cuda": 8192}
"""Rows and columns of the square matrices: a product of a millisecond or two finds a core to itself on a busy machine,
too, and is as fast as larger ones (104 GFLOP/s on a core of an AMD EPYC with AVX-512, torch 2.14)."""


def matrix_product(device: str, threads: int) -> float:
    """Floating-point operations per second of a matrix product on a "cpu" with so many threads, in float32, or on the
    GPU of this process, in bfloat16."""
    side, before = SIDES[device], torch.get_num_threads()
    operations = 2.0 * side**3
    factor = torch.ones(side, side, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
    torch.set_num_threads(threads)
    try:
        _seconds_of(factor)  # the first call loads code
        end, fastest = time.perf_counter() + SECONDS, float("inf")
        while time.perf_counter() < end:
            fastest = min(fastest, _seconds_of(factor))
    finally:
        torch.set_num_threads(before)
    return operations / fastest


def _seconds_of(factor: torch.Tensor) -> float:
    """The seconds that the product of a matrix with itself takes."""
    started = time.perf_counter()
    (factor @ factor)[0, 0].item()
    return time.perf_counter() - started
