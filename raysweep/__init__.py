"""How a sweep runs: experiments, plan, durable record, and the launcher on Ray.

Importing this package loads neither Ray nor torch.
"""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.experiment import Experiment, Family, Filter, Group, Metric, Question, Search
    from raysweep.ledger import load_results
    from raysweep.live import watch_sweep

__getattr__, __all__ = exporting(
    __name__,
    {
        "experiment": ("Experiment", "Family", "Filter", "Group", "Metric", "Question", "Search"),
        "ledger": ("load_results",),
        "live": ("watch_sweep",),
    },
)
