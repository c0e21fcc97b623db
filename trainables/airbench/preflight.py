"""Checks without torch, before a run starts, whether it can run, and says how large it is."""

from typing import Any

from trainables.airbench.config import FINAL_SIZE, WIDTHS, AirbenchConfig
from trainables.compiler import require_compiler
from trainables.data.catalog import DataError, for_other_machines, locate

NUMERICS = 1
"""Goes up when the same configuration starts to give other numbers, so that older runs do not count as new ones."""

RATE_FIELDS = ("dataset", "stem", "freeze", "lookahead", "tta", "compile", "muon", "batch_size", "precision")
"""The fields on which the images per second depend."""

FRACTIONS = {"cpu": 0.7, "cuda": 0.23}
"""The part of a matrix product's speed that training reaches: on a core as scattering networks do, and on an H200
(4.0 ms for the 0.74 TFLOP of a step, of 790 TFLOP/s in bfloat16)."""
SECONDS_OF_IMAGE = {"cpu": 1e-4, "cuda": 4e-6}
"""What the augmentation of an image takes beside that: on an H200, 0.2 s for an epoch of 50,000."""


def check(config: AirbenchConfig, num_workers: int) -> dict[str, Any]:
    """Facts about the run: data, parameters, steps, images. Raises ValueError, in one line, if it cannot be."""
    if config.batch_size % num_workers or config.batch_size < 2 * num_workers:
        below = config.batch_size // num_workers * num_workers
        near = f"{below} or {below + num_workers}" if below >= 2 * num_workers else f"{2 * num_workers}"
        raise ValueError(
            f"batch_size={config.batch_size} cannot be shared by {num_workers} workers with at least two images for "
            f"each; nearest: {near}"
        )
    if config.compile and not for_other_machines():
        require_compiler()
    info = locate(config.dataset, config.data_dir)
    if config.batch_size > info.n_train:
        raise DataError(f"batch_size={config.batch_size} is more than the {info.n_train} images of {info.dataset}")
    steps, steps_per_epoch = config.total_steps(info.n_train), info.n_train // config.batch_size
    phase = {
        "phase": "train",
        "epochs": steps / steps_per_epoch,
        "least_epochs": steps / steps_per_epoch,
        "train_images": steps_per_epoch * config.batch_size,
        "validation_images": 0,
        "validation_images_once": config.views * info.n_test,  # each view of an image passes the network
        "cached": False,
    }
    return {
        "numerics": NUMERICS,
        "data": info.fingerprint(),
        **info.described(),
        "final_channels": WIDTHS[-1],
        "final_size": FINAL_SIZE,
        "n_params_extractor": config.n_params_extractor(),
        "n_params_classifier": config.n_params_classifier(info.num_classes),
        "steps": steps,
        "phases": [phase],
        "rate_fields": RATE_FIELDS,
    }


def remedies(config: AirbenchConfig, num_workers: int) -> list[dict[str, Any]]:
    """Ways to need less memory: half the batch, where all workers can share that.

    Each has the `changes` of fields that it takes, and the fraction of the memory that it `leaves` in use at least.
    """
    half = config.batch_size // 2
    if half % num_workers or half < 2 * num_workers:
        return []
    return [{"changes": {"batch_size": half}, "leaves": half / config.batch_size}]


def reach(config: AirbenchConfig, num_workers: int, device: str) -> dict[str, float]:
    """What training makes of the speed of a matrix product: a fraction, and the seconds of an image beside that."""
    return {"fraction": FRACTIONS[device], "seconds_per_image": SECONDS_OF_IMAGE[device]}
