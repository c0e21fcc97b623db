"""What the results of a run measure, and what makes two of them hard to compare."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["higher", "lower"]
"""Which values of a metric are the better ones."""

LOADER_BOUND = 10.0
"""The part of its training's time, in percent, from which on people are told that a run waits for its images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A number in the results of a run, and how it is read."""

    name: str
    """The field of the results."""
    unit: str
    """`%`, `points` for a difference of percentages, `s`, `images/s`, `parameters`, ...; "" where there is none."""
    better: Direction | None = "higher"
    """Which values are the better ones; None where neither are."""
    resolution: int = 0
    """How many accuracies, each rounded to one of the `test_samples` of the results, a value is made of: 1 for an
    accuracy, 2 for a difference of two. What lies below one test image counts as variance. 0: the value is no count."""
    label: str = ""
    """Heading of its column in tables; "": the name, and the unit unless that is percent."""
    digits: int | None = None
    """Digits after the point in tables; None: what fits the unit (2 for most, `30 s` or `1.5 h` for times)."""
    least_classes: int = 0
    """Tables show it from this many classes on: of ten classes, a top-5 accuracy says little."""
    least_shown: float = 0.0
    """Tables show it where one of its values is at least this, as what is worth mention only when it is large; with 0,
    always."""
    phases: tuple[str, ...] = ()
    """Names of the phases of training (see `Phase`) that it depends on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of a training that has a limit of epochs, and may end before it for want of progress."""

    name: str
    trained: str
    """The field of the results that says how many epochs it took."""
    limit: tuple[str, ...]
    """Fields of the configuration; the first that has a value is the limit."""
    where: Mapping[str, Any] = field(default_factory=dict)
    """Runs have this phase where their configuration has these values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InForce:
    """A limit on a network's layers, of which some may not be reached: the layers say what is in force.

    The field `limit` of the configuration asks for it. Each entry of the result `layers` holds the limit of one layer
    under the same name, and the layer's `size`. In force is the largest limit that is below the size of its layer.
    """

    limit: str
    label: str
    """What answers call it."""
    layers: str
    size: str
    unrestricted: str = "none"
    """What answers say where no layer is restricted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selected:
    """Metrics that are those of the best of a run's epochs, chosen by the accuracy of each.

    Analysis adds the mean over the last five epochs as a metric, named as the first of them with `_last5` behind. It
    says in its answers what the choice is worth where it was made on the images that the metric is measured on.
    """

    metrics: tuple[str, ...]
    """The accuracy of the best epoch, and metrics that are worked out from it."""
    curves: tuple[str, ...]
    """Names of curves, of which the last that has points is that of the epochs."""
    value: str
    """The field of the curve's points by which the best epoch was chosen."""
    images: str
    """The result that says on which images that was."""
    tested: str = "test set"
    """What it says where the choice was made on the images that the metric is measured on."""

    @property
    def last(self) -> str:
        """The name of the mean over the last five epochs."""
        return f"{self.metrics[0]}_last5"


@dataclass(frozen=True, kw_only=True, slots=True)
class Confounds:
    """What runs of a family may differ in beyond a question's factor, apart from the fields of their configurations.

    An answer says so where its arms do.
    """

    conditions: Mapping[str, str] = field(default_factory=dict)
    """Results that say how a run was computed, each with what answers call it."""
    in_force: tuple[InForce, ...] = ()
    phases: tuple[Phase, ...] = ()
    """Phases of training: answers say where their lengths differ, or where some arms were stopped early."""
    selected: tuple[Selected, ...] = ()
    """Metrics of the best of a run's epochs: answers say what choosing it was worth."""
