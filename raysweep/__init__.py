"""How a sweep runs: experiments, plan, durable record, and the launcher on Ray.

Importing this package loads neither Ray nor torch.
"""

from raysweep.experiment import Experiment, Group, Question, Search
from raysweep.ledger import load_results
from raysweep.live.watch import watch_sweep

__all__ = ["Experiment", "Group", "Question", "Search", "load_results", "watch_sweep"]
