"""Intervals over seeds and test images, which are crossed: every seed's network is tested on every image.

Of the differences D of two arms, [S, I] for S seeds and I images, the model is D[s, i] = mu + a[s] + b[i] + e[s, i]
with independent random effects of seeds, images, and both together. Then Var(mean) = var(a) / S + var(b) / I +
var(e) / (S I), which the mean squares of the two-way analysis of variance estimate without bias:

    (MS_seeds + MS_images - MS_rest) / (S I)

(Searle, Casella and McCulloch, "Variance Components", 1992, chapter 4; that an interval which takes images for fixed,
or the S I differences for independent, is too narrow: Owen and Eckles, "Bootstrapping data arrays of arbitrary order",
2012.) Its degrees of freedom are Satterthwaite's (1946).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.statistics import CONFIDENCE, Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Differences = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSquares:
    """The mean squares of a two-way analysis of variance with one value in each cell."""

    seeds: float
    images: float
    rest: float


def mean_squares(differences: "Differences") -> MeanSquares:
    """The mean squares of [S, I] differences of at least two seeds and two images."""
    n_seeds, n_images = differences.shape
    of_seeds, of_images, mean = differences.mean(1), differences.mean(0), differences.mean()
    seeds = n_images * float(((of_seeds - mean) ** 2).sum())
    images = n_seeds * float(((of_images - mean) ** 2).sum())
    total = float(((differences - mean) ** 2).sum())
    rest = max(0.0, total - seeds - images)  # rounding may bring it below 0
    degrees = n_seeds - 1, n_images - 1
    return MeanSquares(seeds=seeds / degrees[0], images=images / degrees[1], rest=rest / (degrees[0] * degrees[1]))


def crossed_interval(differences: "Differences", confidence: float = CONFIDENCE, floor: float = 0.0) -> Interval | None:
    """Two-sided interval of the mean of [S, I] differences over seeds and images; None for fewer than two of either.

    The variance of images is taken to be at least 0, the standard deviation over seeds at least `floor`. The interval
    is never narrower than Student's over the seeds alone: where two or three seeds happen to lie close together,
    Satterthwaite's formula trusts them too much (down to 87 % in place of 95 % with two seeds).
    """
    n_seeds, n_images = differences.shape
    if n_seeds < 2 or n_images < 2:
        return None
    from scipy.stats import t

    found, cells = mean_squares(differences), n_seeds * n_images
    of_seeds = max(found.seeds / n_images, floor**2) / n_seeds
    variance = of_seeds + max(0.0, found.images - found.rest) / cells
    terms = (
        (of_seeds, n_seeds - 1),
        (found.images / cells, n_images - 1),
        (found.rest / cells, (n_seeds - 1) * (n_images - 1)),
    )
    uncertainty = sum(term**2 / degrees for term, degrees in terms)
    half = float(t.ppf((1 + confidence) / 2, n_seeds - 1)) * math.sqrt(of_seeds)
    if uncertainty:
        quantile = float(t.ppf((1 + confidence) / 2, variance**2 / uncertainty))
        half = max(half, quantile * math.sqrt(variance))
    mean = float(differences.mean())
    return mean - half, mean + half
