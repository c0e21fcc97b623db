"""From the values of a family's axes to its points, or to a Ray Tune search space."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


def tune_space(axes: Axes, follows: Follows) -> dict[str, Any]:
    """The same as a Ray Tune search space, for a Tuner or a search algorithm of one's own.

    A point of it, with the other fields from a family's base, makes a configuration: `replace(BASE, **point)`. Imports
    ray.tune.
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
