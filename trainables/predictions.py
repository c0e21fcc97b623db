"""predictions.npz, which a finished run leaves behind: what its network finds each test image to be.

A sweep keeps it beside the record of the run (see `raysweep.trainable`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from trainables.files import write_atomically

PREDICTIONS = "predictions.npz"


def save_predictions(folder: Path, classes: Tensor, labels: Tensor, *, images: str, metrics: Sequence[str]) -> None:
    """Write the class found for each test image and the true ones, whole numbers [n] on the CPU in the same order.

    `images` tells these images, in this order, from others of the same data; `metrics` are the results that are the
    accuracy of the classes.
    """
    arrays = {"classes": classes.numpy(), "labels": labels.numpy()}
    told = {"images": np.array(images), "metrics": np.array(metrics)}
    write_atomically(folder / PREDICTIONS, lambda stream: np.savez_compressed(stream, **arrays, **told))
