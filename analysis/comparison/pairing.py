"""What pairs the runs of two arms beside the seed, and what the resolution of a metric hides of their differences."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from analysis.comparison.runs import metric_of, varied_fields
from analysis.reading.results import Setting
from raysweep.experiment import Metric


def pairing_fields(rows: Mapping[str, pd.DataFrame], setting: Setting, factor: Sequence[str]) -> list[str]:
    """What pairs the runs of filters beside the seed: the fields, but for the factor, that vary within an arm."""
    return sorted({name for part in rows.values() for name in varied_fields(part, setting, factor)})


def hidden_deviation(metric: Metric, rows: Iterable[pd.DataFrame], terms: int) -> float:
    """What the rounding to whole test images hides of the standard deviation of a sum of `terms` values of a metric.

    A number rounded to steps hides step / sqrt(12); it is 0 for a metric that is no count of images.
    """
    images = [metric_of(part, "test_samples") for part in rows]
    known = [float(part.min()) for part in images if len(part)]
    return 100 / min(known) * math.sqrt(terms * metric.resolution / 12) if known and min(known) > 0 else 0.0
