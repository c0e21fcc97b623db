"""Makes the ordered, checked list of runs of selected experiments. Imports neither torch nor Ray."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raysweep.experiment import Experiment, Family
from raysweep.ledger import Code, Ledger, Record, recorded_config, run_key
from raysweep.messages import PlanError
from raysweep.modules import Folders
from raysweep.paths import expanded
from raysweep.trainable import Facts
from raysweep.trainable_loader import load_trainable

NOT_RECORDED = ("data", "numerics", "no_effect", "phases", "rate_fields")
"""Facts left out of a record: it holds them elsewhere, or they serve only before the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    """One training run of the plan."""

    name: str
    """Unique in a results folder: made of the experiment, the seed and the start of the key."""
    key: str
    experiment: Experiment
    group: str
    dataset: str
    config: Any
    """The experiment's configuration with seed, data and save_dir filled in."""
    num_workers: int
    changed: str
    """The fields that the command line or the data set changes in every run, as `name=value, ...`."""
    facts: Facts
    """What the trainable's `check` returned before the run."""
    selection: str = ""
    """The arguments of run_sweep.py that name the run's group or grid."""
    keep_last: bool = False
    """Whether all of its checkpoint stays once it has finished, and not only what a finished run has a use for."""
    predicted: Mapping[str, Any] = field(default_factory=dict)
    """What was forecast before the run, as `forecast.predicted` writes it for the record."""
    code: Code | None = None
    """The copy of the code that computes the run, once a sweep has made it."""

    def key_of(self, config: Any) -> str:
        """The key of a run of the same trainable, data and workers with another configuration."""
        data, numerics = self.facts["data"], self.facts["numerics"]
        return run_key(self.experiment.trainable, config, num_workers=self.num_workers, data=data, numerics=numerics)

    def record(self) -> Record:
        """The part of this run's record that is known before it runs."""
        return {
            "run": self.name,
            "key": self.key,
            "experiment": self.experiment.name,
            "group": self.group,
            "dataset": self.dataset,
            "seed": self.config.seed,
            "num_workers": self.num_workers,
            "priority": self.experiment.priority,
            "why": self.experiment.why,
            "trainable": self.experiment.trainable,
            "set": self.changed,
            "data": self.facts["data"],
            "numerics": self.facts["numerics"],
            "selection": self.selection,
            "no_effect": sorted({*_cosmetic(self.config), *self.facts.get("no_effect", ())}),
            "facts": {name: value for name, value in self.facts.items() if name not in NOT_RECORDED},
            "config": recorded_config(self.config),
            **self.predicted,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the run with the places that its configuration's and trainable's modules are imported from."""
        return _unpickled, (Folders(), {f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


def _unpickled(_: object, fields: dict[str, Any]) -> PlannedRun:
    return PlannedRun(**fields)


def make_runs(
    experiments: Sequence[Experiment],
    ledger: Ledger,
    *,
    family: Family,
    overrides: Mapping[str, Any],
    seeds: Sequence[int] | None = None,
    num_workers: int | None = None,
    gpus: float = 0,
    group: str = "",
    selection: str = "",
    keep_last: bool = False,
) -> list[PlannedRun]:
    """The runs of experiments of a family, in the order in which they are admitted.

    They are ordered by priority, then declaration, then seed. `overrides` replace fields of the configurations. Without
    `num_workers`, an experiment uses its own number of workers if there are as many `gpus`; without `group`, its own
    group. Raises PlanError for a run that is impossible, and for a trainable that does not keep its contract.
    """
    runs = []
    for experiment in sorted(experiments, key=lambda experiment: experiment.priority):
        workers = num_workers or (experiment.num_workers if gpus >= experiment.num_workers else 1)
        own_group = group or family.group_of(experiment.name)
        facts: Facts | None = None
        for seed in experiment.seeds if seeds is None else seeds:
            try:
                config = dataclasses.replace(experiment.config, **{**overrides, "seed": seed})
                facts = facts or load_trainable(experiment.trainable).check(config, workers)  # alike for every seed
            except ValueError as error:
                raise PlanError(f"{experiment.name}: {error}") from None
            runs.append(
                PlannedRun(
                    **_named(experiment, config, workers, facts, ledger),
                    experiment=experiment,
                    group=own_group,
                    dataset=getattr(config, "dataset", family.dataset),
                    num_workers=workers,
                    changed=_changes(config, overrides),
                    facts=facts,
                    selection=selection,
                    keep_last=keep_last,
                )
            )
    return runs


def _named(
    experiment: Experiment, config: Any, num_workers: int, facts: Mapping[str, Any], ledger: Ledger
) -> dict[str, Any]:
    """The key, the name and the configuration of a run, the latter with its own save_dir and an absolute data_dir."""
    data, numerics = facts["data"], facts["numerics"]
    key = run_key(experiment.trainable, config, num_workers=num_workers, data=data, numerics=numerics)
    name = f"{experiment.name}-s{config.seed}-{key[:8]}"
    folders = {"save_dir": str(ledger.runs.folder(name))}
    if (data_dir := getattr(config, "data_dir", None)) is not None:
        folders["data_dir"] = str(expanded(data_dir))
    return {"key": key, "name": name, "config": dataclasses.replace(config, **folders)}


def in_order(runs: Sequence[PlannedRun], *, breadth_first: bool) -> list[PlannedRun]:
    """The runs in the order in which they start: by priority and, within one, as they are given.

    With `breadth_first`, within a priority, first ones of their experiments come before second ones.
    """
    before: Counter[str] = Counter()
    order = []
    for place, run in enumerate(runs):
        order.append((run.experiment.priority, breadth_first * before[run.experiment.name], place))
        before[run.experiment.name] += 1
    return [runs[place] for *_, place in sorted(order)]


def in_bundles(runs: Iterable[PlannedRun]) -> Iterator[list[PlannedRun]]:
    """Group neighbouring runs of an experiment into trials of at most `runs_per_trial` runs."""
    part: list[PlannedRun] = []
    for run in runs:
        if part and (part[0].experiment != run.experiment or len(part) == run.experiment.runs_per_trial):
            yield part
            part = []
        part.append(run)
    if part:
        yield part


def alike(run: PlannedRun, varied: Sequence[str], records: Iterable[Record]) -> Iterator[Record]:
    """Records, of any experiment, of this run or of runs that differ from it only in the `varied` fields."""
    for record in records:
        if record.get("trainable") == run.experiment.trainable:
            config = dataclasses.replace(run.config, **{name: record["config"][name] for name in varied})
            if record["key"] == run.key_of(config):
                yield record


def _changes(config: Any, overrides: Mapping[str, Any]) -> str:
    """The overridden fields that can change numbers, but for those that name the data, in the configuration's order."""
    left_out = {*_cosmetic(config), "dataset"}
    names = [f.name for f in dataclasses.fields(config) if f.name not in left_out]
    return ", ".join(f"{name}={overrides[name]}" for name in names if name in overrides)


def settings_of(config: Any) -> list[str]:
    """The fields, except the seed, that can change a run's numbers."""
    return [f.name for f in dataclasses.fields(config) if f.name != "seed" and not f.metadata.get("cosmetic")]


def _cosmetic(config: Any) -> list[str]:
    """The fields that cannot change a run's numbers."""
    return [f.name for f in dataclasses.fields(config) if f.metadata.get("cosmetic")]
