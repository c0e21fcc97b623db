"""Lets a package import the names it exports only when they are used, so that a process loads no more than it needs."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def exporting(package: str, names_of: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], list[str]]:
    """The `__getattr__` and `__all__` of a package that exports the names `names_of` each of its modules.

    The rest of the project may import these names from the package, and no others. A type checker does not see them
    here: it reads the imports below `if TYPE_CHECKING` beside the call, and tests/test_house.py compares the two lists.
    """
    module_of = {name: module for module, names in names_of.items() for name in names}

    def getattr_(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)

    return getattr_, sorted(module_of)
