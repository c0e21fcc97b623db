"""What a file of search_spaces declares: experiments, their groups, and the family that holds both."""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from raysweep.experiment.metrics import Confounds, Direction, Metric
from raysweep.experiment.questions import Filter, ImpliedQuestions, Question
from raysweep.messages import nearest

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
    change a run's numbers and takes no part in its identity; one that says `later` came when runs had been recorded,
    and takes no part at its default."""
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
    timed_seeds: int | None = None
    """On GPUs, seeds from this number on may train side by side, and then have no times; None: all are timed."""
    why: str = ""
    """What it is for, in a line."""

    def __post_init__(self) -> None:
        require_name(self.name, "experiment")

    def has_times(self, seed: int) -> bool:
        """Whether the time that a run of this seed takes is to be measured."""
        return self.timed and (self.timed_seeds is None or seed < self.timed_seeds)

    def at(self, name: str, value: Any) -> "Experiment":
        """This experiment with another value of one field of its configuration, called as `only_A@21`."""
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
class Declaration:
    """What a family says of its results: plain data that is written down with the plan, for `analysis` to read."""

    name: str
    trainables: tuple[str, ...]
    """Import paths of the trainables whose results these are; "" stands for results that none of ours has made."""
    metrics: tuple[Metric, ...] = ()
    columns: tuple[str, ...] = ()
    confounds: Confounds = field(default_factory=Confounds)
    implied: tuple[ImpliedQuestions, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One file of search_spaces: experiments over common axes, their groups and their questions.

    Raises ValueError, in one line with the nearest valid name, where its parts name what there is not.
    """

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
    metrics: tuple[Metric, ...] = ()
    """What is measured; questions can ask about these alone."""
    columns: tuple[str, ...] = ()
    """What tables of results show, in this order: metrics, and fields of the configuration where they vary. (): all
    metrics."""
    confounds: Confounds = field(default_factory=Confounds)
    """What makes arms hard to compare, beyond the fields of their configurations."""
    implied: tuple[ImpliedQuestions, ...] = ()
    """What a results folder without questions is asked."""

    def __post_init__(self) -> None:
        self._require_known_names()
        for question in self.questions:
            self.asked(question)

    @property
    def all_datasets(self) -> tuple[str, ...]:
        """The data that the experiments can be run on."""
        return self.datasets or (self.dataset,)

    @property
    def declaration(self) -> Declaration:
        """What `analysis` has to know of the results."""
        return Declaration(
            name=self.name,
            trainables=tuple(dict.fromkeys(experiment.trainable for experiment in self.experiments)),
            metrics=self.metrics,
            columns=self.columns,
            confounds=self.confounds,
            implied=self.implied,
        )

    def group_of(self, experiment: str) -> str:
        """Name of the first group that holds the experiment; the family's own where none does."""
        return next((g.name for g in self.groups if experiment in g.experiments), self.name)

    def asked(self, question: Question) -> Question:
        """A question as it is written down: with its family, and with the better values of its metrics.

        Raises ValueError where its metrics do not agree on which values are better.
        """
        directions: set[Direction | None] = {m.better for m in self.metrics if m.name in question.metrics}
        if question.better or question.kind == "equivalence":
            directions = {question.better or "higher"}
        if len(directions) > 1 or None in directions:
            raise ValueError(
                f"question {question.name!r} of {self.name} does not say which values of {', '.join(question.metrics)} "
                "are the better ones, and they themselves do not agree on it; add better="
            )
        return replace(question, family=question.family or self.name, better=next(iter(directions)))

    def _require_known_names(self) -> None:
        """Raises ValueError for a part that names an experiment, a metric, a field or a question that is none."""
        experiments = _distinct("experiments", self.name, [experiment.name for experiment in self.experiments])
        questions = _distinct("questions", self.name, [question.name for question in self.questions])
        metrics = _distinct("metrics", self.name, [metric.name for metric in self.metrics])
        _distinct("groups", self.name, [group.name for group in self.groups])
        if not experiments and (self.groups or questions):
            raise ValueError(f"{self.name} has no experiments")
        configs = [experiment.config for experiment in self.experiments if is_dataclass(experiment.config)]
        of_config = list(dict.fromkeys(f.name for config in configs for f in fields(config)))
        for group in self.groups:
            where = f"group {group.name!r} of {self.name}"
            _require(group.experiments, "experiment", experiments, where)
            _require([group.search] if group.search else [], "question", questions, where)
        for question in self.questions:
            where = f"question {question.name!r} of {self.name}"
            arms = [arm for arm in (question.baseline, *question.arms) if arm]
            _require([arm for arm in arms if isinstance(arm, str)], "experiment", experiments, where)
            _require([*question.metrics, *([question.equal] if question.equal else [])], "metric", metrics, where)
            named = [name for arm in arms if isinstance(arm, Filter) for name in arm.fields]
            named += [question.over] if question.kind == "trend" else []
            named += [question.search.over] if question.search else []
            _require([*named, *question.factor], "field", of_config, where)
        _require(self.columns, "metric or field", [*metrics, *of_config], f"the columns of {self.name}")
        for implied in self.implied:
            _require(implied.difference.metrics, "metric", metrics, f"an implied question of {self.name}")


def _require(names: Iterable[str], what: str, known: Sequence[str], where: str) -> None:
    """Raises ValueError, with the nearest one, for a name that is not known."""
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r} in {where}{nearest(name, known)}")


def _distinct(what: str, of: str, names: list[str]) -> list[str]:
    """The names. Raises ValueError for one that is there twice."""
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise ValueError(f"two {what} of {of} are called {twice[0]!r}")
    return names
