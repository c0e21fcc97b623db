"""The airbench network and its cascade of ablations, which are timed as its author times them (`config.ABLATIONS`).

The names below are imported when first used, so that reading a config costs no import of torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.airbench.commandline import command
    from trainables.airbench.config import ABLATIONS, AirbenchConfig
    from trainables.airbench.costs import cost
    from trainables.airbench.measuring import measure
    from trainables.airbench.network import AirbenchNet, make_net
    from trainables.airbench.preflight import check, reach, remedies
    from trainables.airbench.side_by_side import train_side_by_side
    from trainables.airbench.training import train
    from trainables.matrix_product import matrix_product

__all__ = [
    "ABLATIONS",
    "AirbenchConfig",
    "AirbenchNet",
    "check",
    "command",
    "cost",
    "make_net",
    "matrix_product",
    "measure",
    "reach",
    "remedies",
    "train",
    "train_side_by_side",
]

_HOME = {
    "ABLATIONS": "config",
    "AirbenchConfig": "config",
    "AirbenchNet": "network",
    "check": "preflight",
    "command": "commandline",
    "cost": "costs",
    "make_net": "network",
    "matrix_product": ".matrix_product",
    "measure": "measuring",
    "reach": "preflight",
    "remedies": "preflight",
    "train": "training",
    "train_side_by_side": "side_by_side",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
