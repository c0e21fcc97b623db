"""Packages whose names are imported when they are first used, so that each process loads no more than it needs."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def exporting(package: str, homes: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], list[str]]:
    """The `__getattr__` and `__all__` of a package that exports the given names of each of its modules.

    These names are what the rest of the project may import from the package. A type checker learns of them from the
    imports that stand beside the call, below `if TYPE_CHECKING`; a test compares the two lists.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def getattr_(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home_of[name]}"), name)

    return getattr_, sorted(home_of)
