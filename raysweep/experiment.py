"""What a sweep consists of: experiments, the groups that name them, and the questions they answer.

Standard library only; search_spaces/ declares these, the rest of raysweep runs them, analysis/ reads them back.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=@+,-]*")
"""Names become names of files below the results folder: nothing in them can lead out of it, on any file system."""


def require_name(name: str, what: str, longest: int = 120) -> str:
    """The name. Raises ValueError, in one line, for one that cannot be part of a file's."""
    if not NAME.fullmatch(name) or len(name) > longest:
        raise ValueError(
            f"{what} {name[:60]!r}: a name begins with a letter or digit, goes on with these or . _ = @ + , - and has "
            f"at most {longest} characters"
        )
    return name


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """One architecture and training recipe; with a seed it becomes a run."""

    name: str
    config: Any
    """The trainable's configuration: a frozen dataclass with at least `seed` and `save_dir`, with `dataset` where the
    family takes several, and with `data_dir` where data lie in a folder. A field whose metadata say `cosmetic` cannot
    change a run's numbers and takes no part in its identity."""
    trainable: str
    """The import path of a module that keeps the contract in `raysweep.trainable`."""
    priority: int = 0
    """Lower runs earlier; equal priorities run in the order of declaration."""
    num_workers: int = 1
    """Workers on a cluster with as many GPUs; 1 elsewhere unless --num-workers says otherwise."""
    seeds: tuple[int, ...] = (42,)
    """Seeds unless --seeds says otherwise."""
    runs_per_trial: int = 1
    """Most seeds that one trial runs one after the other in the same processes: for runs shorter than their start."""
    timed: bool = False
    """Its time is a result: on CPUs, a trial has all of a node's to itself."""
    why: str = ""
    """What it is for, in a line."""

    def __post_init__(self) -> None:
        require_name(self.name, "experiment")

    def at(self, name: str, value: Any) -> "Experiment":
        """The same with another value of one field of the configuration, as `only_A@21`."""
        spoken = f"{value:g}" if isinstance(value, float) else value
        return replace(self, name=f"{self.name}@{spoken}", config=replace(self.config, **{name: value}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Experiments that belong together, by name."""

    name: str
    experiments: tuple[str, ...]
    why: str = ""
    """What the group is for, in a line."""
    search: str = ""
    """Name of the question whose search chooses the runs; "": every experiment runs as it is, with all its seeds."""

    def __post_init__(self) -> None:
        require_name(self.name, "group")


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
    """In the unit of the metric. Half of it costs four times the runs."""
    confidence: float = 0.95
    looks: tuple[int, ...] = (3, 5, 8, 12, 18, 27, 40, 60, 90)
    """Numbers of runs at which a value is judged, until the interval of their mean decides."""
    additive: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By experiment: a base, and the experiments that add one of its changes to that base."""
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


def is_of_arm(arm: str | Mapping[str, Any], experiment: str, config: Mapping[str, Any]) -> bool:
    """Whether a run belongs to an arm, as it is written down: an experiment's name, or a filter's label and fields."""
    if isinstance(arm, str):
        return bool(arm) and experiment == arm
    return all(config.get(name) == value for name, value in arm["fields"].items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a sweep was set up for: by default the difference of each arm from the baseline, paired by seed.

    It is written down, with its hash, before its runs start (see `raysweep.questions`), and answered by `analysis`.
    """

    name: str
    text: str
    """With a question mark, so that "yes" says the arm is better, or, of an equivalence, that there is none."""
    arms: tuple[Arm, ...]
    """What is compared; of an interaction, one change, another, and both together; of a trend, the members of the
    series."""
    metrics: tuple[str, ...]
    """Fields of the results."""
    baseline: Arm = ""
    """What is compared with; of a trend, a series that is subtracted. None where the question is about a target."""
    kind: Literal["difference", "equivalence", "trend", "interaction", "time", "target", "search"] = "difference"
    """difference    arm minus baseline
    equivalence   whether that is within `smallest_effect` of zero
    trend         slope of the metric per doubling of the field `over`, by seed
    interaction   what two changes do together beyond what each does alone
    time          arm over baseline, of a time or a speed, where both are equal in `equal`
    target        whether a mean reaches `target`
    search        from where on it does"""
    better: Literal["higher", "lower"] = "higher"
    """Which values of the metrics are the better ones; of a trend, "higher" asks whether it rises."""
    smallest_effect: float = 0.5
    """The smallest difference that matters, in the unit of the metrics (points; of a trend, points per doubling); of
    times and speeds, as a fraction of the baseline's."""
    factor: tuple[str, ...] = ()
    """Fields of the configuration in which the arms differ on purpose. Any other difference is said in the answer."""
    equal: str = ""
    """Of a question about time: the metric in which the arms must be equal for it to make sense."""
    equal_within: float = 0.5
    """How far apart that metric may be, in its unit."""
    over: str = "train_size"
    """Of a trend: the field of the configuration."""
    family: str = ""
    """Questions of a family have their p-values corrected together (Holm); "": those of one file of search_spaces."""
    note: str = ""
    """What a reader of the answer has to know, in a sentence."""
    isolated_by: str = ""
    """Arguments of run_sweep.py for runs that differ in the factor alone, where the arms cannot."""
    target: float | None = None
    """In the unit of the metric."""
    search: Search | None = None
    """Of a question of that kind."""
    dataset: str | None = None
    """The data that it is about; None: any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One file of search_spaces: experiments over common axes, their groups and their questions."""

    name: str
    dataset: str
    """The data that the experiments are about: what --data-dir holds unless --dataset says otherwise."""
    experiments: tuple[Experiment, ...]
    groups: tuple[Group, ...]
    questions: tuple[Question, ...]
    grid: Callable[[Mapping[str, Sequence[Any]]], tuple[list[Experiment], list[str]]] | None = None
    """Returns the experiments over given values of fields, and a line for each combination that cannot be. None: every
    combination is the first of `experiments` with these fields changed."""
    datasets: tuple[str, ...] = ()
    """What --dataset may name. The first is used where neither --dataset nor --data-dir is given. (): `dataset` alone.
    """
    embedded: Mapping[str, Any] = field(default_factory=dict)
    """Fields that the experiments take on the first of `datasets` where that is not what they are about, unless --set
    names them."""
    locate: Callable[[str, str | None], str] | None = None
    """Returns where a dataset is, as people are told, given its name and --data-dir. Raises ValueError, in a line,
    where it is not found. None: the data are no files, and --data-dir is refused."""
    elsewhere: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    """Within this context `locate` and the trainables' `check` take data that are not on this machine for what was
    published of them. It is entered for plans and commands, which may be for another machine."""

    @property
    def all_datasets(self) -> tuple[str, ...]:
        """The data that the experiments can be run on."""
        return self.datasets or (self.dataset,)

    def group_of(self, experiment: str) -> str:
        """Name of the first group that holds the experiment; the family's own where none does."""
        return next((g.name for g in self.groups if experiment in g.experiments), self.name)
