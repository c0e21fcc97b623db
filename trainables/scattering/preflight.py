"""Checks without torch, before a run starts, whether it can run, and says how large it is."""

from typing import Any

from trainables.compiler import require_compiler
from trainables.data.catalog import DataError, DataInfo, for_other_machines, locate
from trainables.data.counts import image_counts, images_of_an_epoch
from trainables.scattering.config import ScatteringConfig, micro_batches

HORIZON = 27
"""The mixing horizon of the original experiments that have one."""
NUMERICS = 2
"""Goes up when the same configuration starts to give other numbers, so that older runs do not count as new ones."""

RATE_FIELDS = (
    *("dataset", "image_size", "augment", "decode", "n_blocks", "L", "kernel_size", "modulus_type", "mixing_horizon"),
    *("global_avg_pool", "lowpass_last", "random_init", "joint", "global_batch_size", "sync_batch_norm", "precision"),
    *("compile", "micro_batch", "batch_parts", "half_cache", "workers"),
)
"""The fields on which the images per second depend."""

TRAITS = {"longer": ("epochs", "lr_epochs"), "batch_parts": "batch_parts"}
"""The fields of which more means the same training for longer, and the field that cuts each batch into parts, for
whoever runs trainings."""

MOST_PARAMETERS = 2**40
MOST_BYTES = 2**50
"""More parameters, or bytes that a step holds at once, are refused: no machine has room for them."""

FRACTIONS = {"cpu": 0.7, "cuda": 0.11}
"""The part of a matrix product's speed that training reaches: with CIFAR-10, three and four blocks on a core 0.75 to
0.79 (of 104 GFLOP/s in float32, while others used the machine), and with four blocks on ImageNet on an H200 0.11 (of
790 TFLOP/s in bfloat16, the network in float32)."""
SECONDS_OF_IMAGE, SECONDS_OF_STEP = 1e-4, 3e-3
"""What is left beside that: of an image on a core, and of a step on a GPU, for the start of some hundred kernels."""

BYTES_OF_A_PARAMETER = 24
"""The most bytes that a parameter takes in training: itself, its gradient, two moments and two copies, in float32."""


def check(config: ScatteringConfig, num_workers: int) -> dict[str, Any]:
    """Facts about the run: data, sizes, images of each phase. Raises ValueError, in one line, if it cannot be."""
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
    if config.is_compiled and not for_other_machines():
        require_compiler()
    info = locate(config.dataset, config.data_dir, config.image_size)
    final_size = config.final_size(info.image_size)
    if config.train_size > info.n_train * (1 - config.val_split):
        raise DataError(
            f"train_size={config.train_size:g} is more than the {info.n_train} training images of {info.dataset}"
        )
    if config.decode == "gpu" and info.in_memory:
        raise ValueError(f"decode=gpu is for folders of images; those of {info.dataset} are in memory, so decode=cpu")
    _require_size(config, info, num_workers)
    return {
        "numerics": NUMERICS,
        "data": info.fingerprint(),
        **info.described(),
        "final_channels": config.final_channels(),
        "final_size": final_size,
        "n_params_extractor": config.n_params_extractor(),
        "n_params_classifier": config.n_params_classifier(info.image_size, info.num_classes),
        "no_effect": config.fields_without_effect(),
        "phases": _phases(config, info, num_workers),
        "rate_fields": RATE_FIELDS,
    }


def remedies(config: ScatteringConfig, num_workers: int) -> list[dict[str, Any]]:
    """Ways to need less memory, which are those of the original experiments; the first one is to be tried first.

    Each has the `changes` of fields that it takes, and the bytes that it `frees` at most, or the fraction of the memory
    that it `leaves` in use at least.
    """
    info = locate(config.dataset, config.data_dir, config.image_size)
    parameters = config.n_params_extractor() + config.n_params_classifier(info.image_size, info.num_classes)
    frees = BYTES_OF_A_PARAMETER * parameters
    half = config.global_batch_size // 2
    found: list[dict[str, Any]] = []
    if not config.global_avg_pool:
        found.append({"changes": {"global_avg_pool": True}, "frees": frees})
    if half % num_workers == 0 and half >= 2 * num_workers:
        found.append({"changes": {"global_batch_size": half}, "leaves": half / config.global_batch_size})
    if not config.mixing_horizon or config.mixing_horizon > HORIZON:
        found.append({"changes": {"mixing_horizon": HORIZON}, "frees": frees})
    return found


def reach(config: ScatteringConfig, num_workers: int, device: str) -> dict[str, float]:
    """What training makes of the speed of a matrix product: a fraction, and the seconds of an image beside that."""
    beside = SECONDS_OF_IMAGE if device == "cpu" else SECONDS_OF_STEP * num_workers / config.global_batch_size
    return {"fraction": FRACTIONS[device], "seconds_per_image": beside}


def _require_size(config: ScatteringConfig, info: DataInfo, num_workers: int) -> None:
    """Raises ValueError, with the fields that make it so, for a run that is too large for any machine."""
    classifier = config.n_params_classifier(info.image_size, info.num_classes)
    parameters = config.n_params_extractor() + classifier
    if parameters > MOST_PARAMETERS:
        named = f"n_blocks={config.n_blocks}, L={config.L}, kernel_size={config.kernel_size}"
        horizon = "" if config.mixing_horizon else "; a mixing_horizon makes it smaller"
        raise ValueError(
            f"{named} make a network of {parameters:.2g} parameters; the most is {MOST_PARAMETERS:.2g}{horizon}"
        )
    share = -(-config.global_batch_size // num_workers)
    parts = micro_batches(share, 1, config.micro_batch, config.batch_parts)
    side = info.image_size
    largest = max(
        (shape.in_channels * (1 + 2 * config.L) + shape.out_channels) * (side >> i) ** 2
        for i, shape in enumerate(config.block_shapes())
    )
    held = 4 * (3 * side * side * share + largest * -(-share // parts))
    if held > MOST_BYTES:
        raise ValueError(
            f"global_batch_size={config.global_batch_size} makes a worker hold {held:.2g} bytes in a step; the most is "
            f"{MOST_BYTES:.2g}. A smaller micro_batch, L or image_size helps"
        )


def _phases(config: ScatteringConfig, info: DataInfo, num_workers: int) -> list[dict[str, Any]]:
    """What each phase passes through the network.

    A phase has at most `epochs` and, by `patience`, at least `least_epochs`, each with so many training and validation
    images; `validation_images_once` are validated before the first epoch. `cached` says whether the validation images'
    features are kept from the first epoch on.
    """
    chosen, validated = image_counts(info, train_size=config.train_size, val_split=config.val_split)
    trained = images_of_an_epoch(chosen, global_batch_size=config.global_batch_size, world_size=num_workers)
    cache = config.feature_cache_bytes(info.image_size, -(-validated // num_workers))
    epochs = {"head": config.head_epochs, "finetune": config.epochs, "joint": config.epochs}
    return [
        {
            "phase": phase,
            "epochs": epochs[phase],
            "least_epochs": min(epochs[phase], config.patience + 1),
            "patience": config.patience,
            "train_images": trained,
            "validation_images": validated,
            "validation_images_once": validated if phase == "finetune" else 0,
            "cached": phase == "head" and cache <= config.feature_cache_gb * 2**30,
        }
        for phase in config.phases
    ]
