"""What random draws of a run depend on: on its seed and on names, never on what was drawn before."""

import hashlib

import torch

EpochKey = tuple[int | str, ...]
"""Seed, phase and epoch, from which an epoch's augmentation is drawn; None stands for no augmentation."""


def hashed_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def hashed_generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by `hashed_seed`."""
    return torch.Generator().manual_seed(hashed_seed(*parts))
