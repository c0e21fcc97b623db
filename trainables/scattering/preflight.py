"""What can be known about a run before it starts, without torch: whether it can run at all, and how large it is."""

from typing import Any

from trainables.data.catalog import DataError, locate
from trainables.scattering.config import ScatteringConfig

NUMERICS = 2
"""Goes up when the same configuration starts to give other numbers, so that older runs are not taken for new ones."""


def check(config: ScatteringConfig, num_workers: int) -> dict[str, Any]:
    """Facts about the run (data, channels, parameters). Raises ValueError, in one line, for one that cannot run."""
    if config.global_batch_size % num_workers:
        below = config.global_batch_size // num_workers * num_workers
        near = f"{below} or {below + num_workers}" if below else f"{num_workers}"
        raise ValueError(
            f"global_batch_size={config.global_batch_size} is not divisible by {num_workers} workers; the nearest "
            f"are {near}"
        )
    if config.global_batch_size < 2 * num_workers:
        raise ValueError(
            f"global_batch_size={config.global_batch_size} leaves {num_workers} worker(s) fewer than 2 images each"
        )
    info = locate(config.dataset, config.data_dir, config.image_size)
    final_size = config.final_size(info.image_size)
    if config.train_size > info.n_train * (1 - config.val_split):
        raise DataError(
            f"train_size={config.train_size:g} is more than the {info.n_train} training images of {info.dataset}"
        )
    return {
        "numerics": NUMERICS,
        "data": info.fingerprint(),
        "image_size": info.image_size,
        "num_classes": info.num_classes,
        "final_channels": config.final_channels(),
        "final_size": final_size,
        "n_params_extractor": config.n_params_extractor(),
        "n_params_classifier": config.n_params_classifier(info.image_size, info.num_classes),
        "no_effect": config.fields_without_effect(),
    }
