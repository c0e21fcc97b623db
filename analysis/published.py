"""What the authors measured, to be shown beside our results where the data set is theirs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A mean over runs."""

    mean: float
    """The mean accuracy in percent."""
    n: int
    """The number of runs."""
    seconds: float | None = None
    """The time on one A100, without compilation and loading."""


TRAIN_SIZES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)

SCATTERING = {
    "3b_cmod_L4": {"finetune": (68.5, 73.5, 78.4, 80.6, 83.0, 86.4), "joint": (64.0, 70.9, 76.8, 80.2, 82.9, 86.0)},
    "4b_cmod_L4_h27": {
        "finetune": (67.7, 73.2, 78.0, 80.7, 83.7, 86.8),
        "joint": (60.0, 69.0, 76.2, 79.5, 81.5, 85.3),
    },
}
"""Means of five seeds on CIFAR-10 at `TRAIN_SIZES`: wavelets fine-tuned, and random init trained jointly (the authors'
result files)."""

AIRBENCH = {
    "baseline": Published(mean=94.06, n=25, seconds=14.5),
    "whiten": Published(mean=94.00, n=200, seconds=8.6),
    "dirac": Published(mean=94.01, n=200, seconds=7.3),
    "scalebias": Published(mean=94.01, n=200, seconds=5.5),
    "freeze": Published(mean=94.03, n=500, seconds=5.2),
    "lookahead": Published(mean=94.02, n=200, seconds=4.6),
    "tta": Published(mean=94.01, n=25, seconds=4.3),
    "mirror": Published(mean=94.02, n=700, seconds=3.95),
    "compile": Published(mean=94.02, n=700, seconds=3.5),
    "muon": Published(mean=94.01, n=200, seconds=2.59),
    "bias_stem": Published(mean=94.00, n=50),
    "lookahead_on_freeze": Published(mean=93.97, n=25),
    "tta_on_freeze_13.5": Published(mean=94.15, n=25, seconds=5.3),
    "tta_on_freeze_12": Published(mean=94.10, n=25, seconds=4.71),
    "tta_on_freeze_11.5": Published(mean=93.98, n=25, seconds=4.53),
    "tta_on_freeze_11": Published(mean=93.97, n=25, seconds=4.4),
}
"""The author's means by experiment, at its own epochs on CIFAR-10 (the airbench repository and arXiv 2404.00498)."""
AIRBENCH_DATA = SCATTERING_DATA = "cifar10"
