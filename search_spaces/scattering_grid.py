"""What the scattering families share: from values of the axes to named configurations or to a Ray Tune space."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from trainables.scattering import ScatteringConfig

TRAINABLE = "trainables.scattering"

Axes = Mapping[str, Sequence[Any]]
Follows = Mapping[str, Callable[[Mapping[str, Any]], Any]]
"""Fields that follow from the axes: name -> function of the point (and of the fields before it)."""


def points(axes: Axes, follows: Follows) -> list[dict[str, Any]]:
    """Every combination of the axes with the fields that follow from it, the first axis slowest."""
    combinations = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        for name, rule in follows.items():
            if name not in point:
                point[name] = rule(point)
        combinations.append(point)
    return combinations


def tune_space(base: ScatteringConfig, axes: Axes, follows: Follows) -> dict[str, Any]:
    """The same as a Ray Tune search space, for a Tuner or a search algorithm of one's own.

    A point of it, with the other fields from `base`, makes a configuration: `replace(base, **point)`. Imports ray.tune.
    """
    from ray import tune

    space: dict[str, Any] = {name: tune.grid_search(list(values)) for name, values in axes.items()}
    for name, rule in follows.items():
        space[name] = tune.sample_from(lambda spec, rule=rule: rule(_Point(spec.config)))
    return space


class _Point(Mapping[str, Any]):
    """A Tune configuration under resolution, read as a mapping."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def __getitem__(self, name: str) -> Any:
        return self._config[name]

    def __iter__(self) -> Any:
        return iter(self._config)

    def __len__(self) -> int:
        return len(self._config)


def configure(base: ScatteringConfig, combinations: list[dict[str, Any]]) -> tuple[list[ScatteringConfig], list[str]]:
    """Configurations of the points, and a line with the reason for each point that cannot be."""
    configs, left_out = [], []
    for point in combinations:
        try:
            configs.append(replace(base, **point))
        except ValueError as error:
            values = " ".join(f"{name}={value}" for name, value in point.items())
            left_out.append(f"{values}: {error}")
    return configs, left_out


def architecture_name(config: ScatteringConfig) -> str:
    """Blocks, modulus, orientations, horizon: `3b_cmod_L4`, `4b_prelu_L8_h27`."""
    modulus = {"complex_modulus": "cmod", "phase_relu": "prelu"}[config.modulus_type]
    horizon = f"_h{config.mixing_horizon}" if config.mixing_horizon else ""
    return f"{config.n_blocks}b_{modulus}_L{config.L}{horizon}"


def run_name(config: ScatteringConfig, implied: ScatteringConfig) -> str:
    """`architecture_name`, `_rand` for random init, the train size (`_s10` for 10 %, `_n5000` for a count), and every
    other field in which `config` differs from `implied`."""
    size = config.train_size
    parts = [architecture_name(config) + ("_rand" if config.random_init else "")]
    spoken = {"n_blocks", "modulus_type", "L", "mixing_horizon", "random_init", "train_size", "seed"}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in spoken and value != getattr(implied, field.name):
            parts.append(field.name if value is True else f"{field.name}={value}")
    parts.append(f"s{100 * size:02.4g}" if size <= 1 else f"n{size:.0f}")
    return "_".join(parts)
