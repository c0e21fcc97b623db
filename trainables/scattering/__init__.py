"""Learnable scattering networks: Morlet filters, blocks, network and two-phase training (see docs in each module).

The names below are imported when first used, so that reading a config costs no import of torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.matrix_product import matrix_product
    from trainables.scattering.checkpoint import position
    from trainables.scattering.commandline import command
    from trainables.scattering.config import BlockShape, ScatteringConfig
    from trainables.scattering.costs import cost
    from trainables.scattering.measuring import measure
    from trainables.scattering.network import ScatteringNet
    from trainables.scattering.preflight import TRAITS, check, reach, remedies
    from trainables.scattering.training import train

__all__ = [
    "TRAITS",
    "BlockShape",
    "ScatteringConfig",
    "ScatteringNet",
    "check",
    "command",
    "cost",
    "matrix_product",
    "measure",
    "position",
    "reach",
    "remedies",
    "train",
]

_HOME = {
    "TRAITS": "preflight",
    "BlockShape": "config",
    "ScatteringConfig": "config",
    "ScatteringNet": "network",
    "check": "preflight",
    "command": "commandline",
    "cost": "costs",
    "matrix_product": ".matrix_product",
    "measure": "measuring",
    "position": "checkpoint",
    "reach": "preflight",
    "remedies": "preflight",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
