"""What a sweep consists of: experiments, the groups that name them, the questions they answer, and what is measured.

Standard library only; search_spaces/ declares these, the rest of raysweep runs them, analysis/ reads them back.
"""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.experiment.allocation import Allocation, Candidate, Chosen, Cost, Prospect, Situation
    from raysweep.experiment.families import Declaration, Experiment, Family, Group, require_name
    from raysweep.experiment.metrics import LOADER_BOUND, Confounds, InForce, Metric, Phase, Selected
    from raysweep.experiment.questions import Arm, Filter, ImpliedQuestions, Question, Search, is_of_arm

__getattr__, __all__ = exporting(
    __name__,
    {
        "allocation": ("Allocation", "Candidate", "Chosen", "Cost", "Prospect", "Situation"),
        "families": ("Declaration", "Experiment", "Family", "Group", "require_name"),
        "metrics": ("LOADER_BOUND", "Confounds", "InForce", "Metric", "Phase", "Selected"),
        "questions": ("Arm", "Filter", "ImpliedQuestions", "Question", "Search", "is_of_arm"),
    },
)
