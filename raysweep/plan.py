"""From experiments to an ordered list of runs: seeds, data, number of workers, checks. No torch, no Ray."""

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysweep.experiment import Experiment
from raysweep.ledger import Ledger, Record, run_key


class PlanError(ValueError):
    """A sweep that cannot start; the message is one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training run of the plan."""

    name: str
    """Unique in a results folder: experiment, seed and the start of the key."""
    key: str
    experiment: Experiment
    group: str
    config: Any
    """The experiment's configuration with seed, data and save_dir filled in."""
    num_workers: int
    changed: str
    """The fields that the user or the data set for the whole sweep, as `name=value, ...`."""
    facts: Mapping[str, Any]
    """What the trainable's `check` knows beforehand: image size, channels, parameters."""

    def record(self) -> Record:
        """The part of this run's record that is known before it runs."""
        return {
            "run": self.name,
            "key": self.key,
            "experiment": self.experiment.name,
            "group": self.group,
            "dataset": self.config.dataset,
            "seed": self.config.seed,
            "num_workers": self.num_workers,
            "priority": self.experiment.priority,
            "trainable": self.experiment.trainable,
            "set": self.changed,
            "config": dataclasses.asdict(self.config),
        }


def make_runs(
    experiments: Sequence[tuple[Experiment, str]],
    ledger: Ledger,
    *,
    overrides: Mapping[str, Any],
    seeds: Sequence[int] | None = None,
    num_workers: int | None = None,
    gpus: float = 0,
) -> list[Run]:
    """The runs of (experiment, group name) pairs, in the order in which they are admitted.

    That order is priority, then declaration, then seed. `overrides` are fields of the configurations. An experiment's
    own number of workers is used where there are as many `gpus`. Raises PlanError for a run that cannot be.
    """
    runs = []
    for experiment, group in sorted(experiments, key=lambda pair: pair[0].priority):
        workers = num_workers or (experiment.num_workers if gpus >= experiment.num_workers else 1)
        for seed in experiment.seeds if seeds is None else seeds:
            try:
                config = dataclasses.replace(experiment.config, **{**overrides, "seed": seed})
                facts = check(experiment, config, workers)
            except ValueError as error:
                raise PlanError(f"{experiment.name}: {error}") from None
            key = run_key(
                experiment.trainable,
                config,
                num_workers=workers,
                data=facts["data"],
                numerics=facts["numerics"],
            )
            name = f"{experiment.name}-s{seed}-{key[:8]}"
            if config.data_dir is not None:
                config = dataclasses.replace(config, data_dir=str(Path(config.data_dir).expanduser().absolute()))
            runs.append(
                Run(
                    name=name,
                    key=key,
                    experiment=experiment,
                    group=group,
                    config=dataclasses.replace(config, save_dir=str(ledger.run_folder(name))),
                    num_workers=workers,
                    changed=", ".join(f"{n}={v}" for n, v in overrides.items() if n not in ("dataset", "data_dir")),
                    facts=facts,
                )
            )
    return runs


def check(experiment: Experiment, config: Any, num_workers: int) -> dict[str, Any]:
    """The trainable's facts about a run. Raises ValueError for one that cannot run."""
    facts: dict[str, Any] = importlib.import_module(experiment.trainable).check(config, num_workers)
    return facts
