"""Makes the points of a family, or a Ray Tune search space, from the values of its axes."""

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
        space[name] = tune.sample_from(lambda given, rule=rule: rule(_Point(given)))
    return space


class _Point(Mapping[str, Any]):
    """A point under resolution, read as a mapping: a field that Ray has not resolved yet lets Ray come back later."""

    def __init__(self, given: Any) -> None:
        """`given` is what Ray 2.60 calls functions of `sample_from` with: where a Tuner resolves the space, the whole
        specification of the experiment with the point as its "config"; elsewhere the point itself."""
        self._values = given.config if "config" in given else given

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise KeyError(name)
        return getattr(self._values, name)  # which raises Ray's RecursiveDependencyError for an unresolved field

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
