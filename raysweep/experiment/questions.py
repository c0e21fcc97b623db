"""What is asked of the results: questions, the runs that they compare, and the search for a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raysweep.experiment.metrics import Direction


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How the smallest value of a field is found at which a metric's mean reaches a target (see analysis.threshold).

    The mean is taken to grow with the field. Of the two values found, the mean at the larger is at least the target
    less `tolerance`, and at the smaller below the target plus `tolerance`: both, over all looks at all values, with
    `confidence`.
    """

    over: str
    """The field."""
    limits: tuple[float, float]
    digits: int = 1
    """Decimal places of the values tried."""
    ratio: float = 1.05
    """The search ends where the two values are no further apart than this factor."""
    tolerance: float = 0.05
    """Stated in the unit of the metric. Half of it costs four times the runs."""
    confidence: float = 0.95
    looks: tuple[int, ...] = (3, 5, 8, 12, 18, 27, 40, 60, 90)
    """Numbers of runs at which a value is judged, until the interval of their mean decides."""
    additive: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each experiment, a base, and the experiments that add one of its changes to that base."""
    published: Mapping[str, float] = field(default_factory=dict)
    """The authors' value by experiment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """The runs whose configurations have these values, by whichever experiment: an arm of a question."""

    label: str
    """What tables and plots call them."""
    fields: Mapping[str, Any]


Arm = str | Filter
"""An experiment by name, or a filter."""


def is_of_arm(arm: Arm, experiment: str, config: Mapping[str, Any]) -> bool:
    """Whether a run of an experiment with a configuration belongs to an arm."""
    if isinstance(arm, str):
        return bool(arm) and experiment == arm
    return all(config.get(name) == value for name, value in arm.fields.items())


Kind = Literal["difference", "equivalence", "trend", "interaction", "time", "pooled", "target", "search"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a sweep was set up for: by default the difference of each arm from the baseline, paired by seed.

    It is written down, with its hash, before its runs start (see `raysweep.ledger.questions`), and answered by
    `analysis`. Raises ValueError, in one line, for one that cannot be answered.
    """

    name: str
    text: str
    """What is asked, with a question mark: "yes" says that the arm is better, or, of an equivalence, that there is no
    difference that matters."""
    arms: tuple[Arm, ...]
    """What is compared. An interaction has three: one change, another, and both together. A trend has the members of
    its series. Those of a pooled question, and its baseline, are filters."""
    metrics: tuple[str, ...]
    """Fields of the results."""
    baseline: Arm = ""
    """What is compared with; for a trend, a series that is subtracted. A question about a target has none."""
    kind: Kind = "difference"
    """difference    arm minus baseline
    equivalence   whether that is within `smallest_effect` of zero
    trend         slope of the metric per doubling of the field `over`, by seed
    interaction   what two changes do together beyond what each does alone
    time          arm over baseline, of a time or a speed, where both are equal in `equal`
    pooled        arm minus baseline over a grid: in each cell, as all fields but `factor` make them, and over all cells
    target        whether a mean reaches `target`
    search        from where on it does"""
    better: Direction | None = None
    """Which values of the metrics are the better ones; "higher" asks whether a trend rises. None: the metrics
    themselves say it."""
    smallest_effect: float = 0.5
    """The smallest difference that matters, in the unit of the metrics (points; of a trend, points per doubling); of
    times and speeds, as a fraction of the baseline's."""
    factor: tuple[str, ...] = ()
    """Fields of the configuration in which the arms differ on purpose. Any other difference is said in the answer."""
    equal: str = ""
    """The metric in which the arms must be equal for a question about time to make sense."""
    equal_within: float = 0.5
    """How far apart that metric may be, in its unit."""
    over: str = "train_size"
    """The field of the configuration that a trend is over."""
    family: str = ""
    """Questions of a family have their p-values corrected together (Holm); "": those of one file of search_spaces."""
    note: str = ""
    """What a reader of the answer has to know, in a sentence."""
    isolated_by: str = ""
    """Arguments of run_sweep.py for runs that differ in the factor alone, where the arms cannot."""
    target: float | None = None
    """The target, in the unit of the metric."""
    search: Search | None = None
    """How the value is found, for a question of that kind."""
    dataset: str | None = None
    """The data that it is about; None: any."""

    def __post_init__(self) -> None:
        if wrong := self._wrong():
            raise ValueError(f"question {self.name[:60]!r} {wrong}")

    def _wrong(self) -> str:
        """Why it cannot be answered, or ""."""
        if not self.arms:
            return "has no arms"
        if not self.metrics:
            return "has no metrics"
        if self.kind == "interaction" and len(self.arms) != 3:
            return f"is about an interaction and has {len(self.arms)} arms, not 3"
        if self.kind in ("difference", "equivalence", "interaction", "time", "pooled") and not self.baseline:
            return "has no baseline"
        if self.kind == "pooled" and (named := [arm for arm in (self.baseline, *self.arms) if isinstance(arm, str)]):
            return f"is pooled over the cells of a grid, and {named[0]!r} is one experiment: give a Filter"
        if self.kind == "time" and not self.equal:
            return "does not say which metric has to be equal"
        if self.kind in ("target", "search") and self.target is None:
            return "has no target"
        if self.kind == "search" and self.search is None:
            return "has no search"
        return "" if self.over else "does not say over which field its trend is"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImpliedQuestions:
    """What runs answer without anybody having asked: one value of a field against another, where all else is alike.

    It is asked of a results folder that has no questions of its own, such as one of imported results.
    """

    compared: str
    """The field."""
    arm: Any
    """The value of the field whose runs are the arms."""
    baseline: Any
    label: str
    """What runs that are alike are called, with the fields in which they are in braces (`{n_blocks:g}b_L{L:g}`). A part
    in brackets is left out where its field has no value."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What a label says in place of a value."""
    over: str = "train_size"
    """The field for each of whose values there is a question."""
    baseline_suffix: str = "_baseline"
    """What the label of the baseline's runs ends with."""
    difference: Question
    """The question about one value of `over`. In its name and text stand {label}, {value} and, as a sentence says it,
    {spoken}; its arms and its baseline are taken from the runs. Its factor holds the fields in which the two sides
    differ by their recipes."""
    trend: Question | None = None
    """The question about three values of `over` or more."""
    series: tuple[str, ...] = ()
    """Fields that all runs of a side of the trend have in common."""
