"""Modules of our own Triton kernels, which need Triton and a C compiler where they run."""

import importlib
import sys
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import TypeVar

import torch

from trainables.messages import first_line

T = TypeVar("T")


class KernelModule:
    """A module that imports Triton. It is imported when it is first used, and not used any more after an error."""

    def __init__(self, name: str, instead: str) -> None:
        """`name` is the module's, `instead` says what does the work where it cannot."""
        self.name, self.instead = name, instead
        self.refusal = ""
        """Why it is not used any more, in a line; "" where it is."""

    @cached_property
    def module(self) -> ModuleType:
        """The module itself."""
        return importlib.import_module(self.name)

    def attempt(self, use: Callable[[ModuleType], T]) -> T | None:
        """What `use` makes of the module; None where that fails or has failed before. The reason is printed once."""
        if self.refusal:
            return None
        try:
            return use(self.module)
        except torch.OutOfMemoryError:  # which is no fault of the kernels
            raise
        except Exception as error:  # Triton raises errors of many kinds where it cannot compile
            self.refusal = f"{type(error).__name__}: {first_line(error)}"
            print(f"{self.instead} ({self.refusal})", file=sys.stderr, flush=True)
            return None
