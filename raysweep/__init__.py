"""How a sweep runs: experiments, plan, durable record, and the launcher on Ray.

Importing this package loads neither Ray nor torch.
"""

import importlib
from typing import Any

from raysweep.experiment import Experiment, Group, Question, Search
from raysweep.ledger import load_results

__all__ = ["Experiment", "Group", "Question", "Search", "load_results", "watch_sweep"]


def __getattr__(name: str) -> Any:
    if name != "watch_sweep":  # imported when first used, as it needs plans, which `analysis` is to know nothing of
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("raysweep.live.watch").watch_sweep
