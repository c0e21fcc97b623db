"""The phases of training, under whose names records hold their curves."""

from collections.abc import Mapping

PHASES: Mapping[str, str] = {
    "phase_a": "head training",
    "phase_b": "fine-tuning",
    "joint": "joint training",
    "train": "training",
}
"""In the order in which they are trained, with what sentences call them."""
