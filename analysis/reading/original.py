"""The original's result files (results_*.json of its train.py) as records beside our own, marked as imported.

A file holds a configuration (the script's flags), results in percent and curves by epoch. Files differ in what their
version of the script knew: l2_penalty, joint and random_init may be missing (then they are off), and so may the seed.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis.reading.result_files import Fields, WrongFileError, digest_of
from raysweep.ledger import FINISHED, Record

PATTERN = "results_*.json"

DATASETS = {"cifar10": (32, 10), "cifar100": (32, 100), "imagenet": (224, 1000)}
"""Side of the images in pixels and number of classes."""

REQUIRED = ("dataset", "n_blocks", "L", "kernel_size", "modulus_type", "epochs")

MODULUS = {"complex_modulus": "cmod", "phase_relu": "prelu"}

DEFAULTS: Fields = {
    **{"train_size": 1.0, "mixing_horizon": None, "global_avg_pool": False, "lowpass_last": False},
    **{"random_init": False, "joint": False, "lr_epochs": None, "lr_head": 1e-3, "lr_extractor": 1e-4},
    **{"l2_penalty": 0.0, "weight_decay": 1e-4, "patience": 20, "seed": None},
}
"""What flags mean that a file lacks or has as null (train_size: all images)."""

FIXED: Fields = {
    **{"val_split": 0.0, "image_size": None, "augment": True, "sync_batch_norm": False, "half_cache": False},
    **{"precision": "float32", "compile": False, "micro_batch": None, "batch_parts": 1},
}
"""What the original always does, in our fields."""

COSMETIC = ("data_dir", "save_dir", "workers", "print_freq", "batch_parts")
UNUSED_BY_JOINT = ("lr_epochs", "lr_extractor", "l2_penalty", "half_cache")

RECIPE = {"kernel_size": 5, "global_batch_size": 128, "lr_epochs": 20, "patience": 20}
"""The recipe of the authors' CIFAR grid; a run's name says in what else than its architecture it differs from that."""
RECIPE_EPOCHS = {False: 150, True: 180}
"""Its epochs in two phases (False), and in joint training (True)."""

PHASES = {"phase_a": "head", "phase_b": "finetune", "joint": "joint"}


def original_record(file: Path, content: Any) -> Record:
    """The content of a result file as a record. Raises WrongFileError for what the original does not write."""
    given, results, curves = _parts(content)
    config = _config(given)
    digest = digest_of(content)
    experiment = experiment_name(config)
    seed = config["seed"]
    return {
        "run": f"{experiment}-{'unseeded' if seed is None else f's{seed}'}-{digest[:8]}",
        "key": digest,
        "experiment": experiment,
        "group": "imported",
        "dataset": config["dataset"],
        "seed": seed,
        "num_workers": int(results.get("world_size") or 1),
        "priority": 0,
        "why": "the authors' own run",
        "imported": f"{file.parent.name}/{file.name}",
        "label": _label(given),
        "set": "",
        "data": None,
        "numerics": None,
        "no_effect": sorted({*COSMETIC, *(UNUSED_BY_JOINT if config["joint"] else ())}),
        "config": config,
        "status": FINISHED,
        "kind": "",
        "error": None,
        "finished": _finished(file),
        "results": _results(config, results, curves),
        "curves": {name: curves.get(name) or [] for name in PHASES},
        "provenance": {},
    }


def experiment_name(config: Mapping[str, Any]) -> str:
    """The name that the same run has in our CIFAR grid: architecture, `_rand`, what else differs, train size."""
    joint, deep = bool(config["joint"]), config["n_blocks"] >= 4
    implied = {
        **RECIPE,
        **{"epochs": RECIPE_EPOCHS[joint], "joint": bool(config["random_init"]), "lowpass_last": deep},
        **{name: value for name, value in DEFAULTS.items() if name not in ("lowpass_last", "joint", "lr_epochs")},
    }
    spoken = {"mixing_horizon", "random_init", "train_size", "seed", *(UNUSED_BY_JOINT if joint else ())}
    parts = [architecture(config) + "_rand" * bool(config["random_init"])]
    for name, value in implied.items():
        if name not in spoken and config[name] != value:
            parts.append(name if config[name] is True else f"{name}={config[name]:g}")
    size = config["train_size"]
    return "_".join([*parts, f"s{100 * size:02.4g}" if size <= 1 else f"n{size:.0f}"])


def architecture(config: Mapping[Any, Any]) -> str:
    """Blocks, modulus, orientations, horizon: `3b_cmod_L4`, `4b_prelu_L8_h27`."""
    horizon = config.get("mixing_horizon")
    known = horizon is not None and not math.isnan(horizon)
    modulus = MODULUS.get(config["modulus_type"], config["modulus_type"])
    return f"{config['n_blocks']:g}b_{modulus}_L{config['L']:g}" + (f"_h{horizon:g}" if known else "")


def _parts(content: Any) -> tuple[Fields, Fields, dict[str, list[Fields]]]:
    found = content if isinstance(content, dict) else {}
    config, results, curves = (found.get(name) or {} for name in ("config", "results", "curves"))
    if not (config and results and isinstance(config, dict) and isinstance(results, dict)):
        raise WrongFileError("it has no config and results")
    if not isinstance(curves, dict) or not all(isinstance(curve, list) for curve in curves.values()):
        raise WrongFileError("its curves are none")
    return config, results, curves


def _config(given: Fields) -> Fields:
    """The script's flags as the fields of our configuration."""
    missing = [name for name in REQUIRED if given.get(name) is None]
    if missing:
        raise WrongFileError(f"its config has no {', '.join(missing)}")
    if not isinstance(given["dataset"], str) or given["dataset"] not in DATASETS:
        raise WrongFileError(f"dataset {given['dataset']!r} is none of {', '.join(DATASETS)}")
    if given["modulus_type"] not in MODULUS:
        raise WrongFileError(f"modulus_type {given['modulus_type']!r} is none of {', '.join(MODULUS)}")
    batch = given.get("global_batch_size") or given.get("batch_size") or 128
    known = {name: given[name] for name in REQUIRED}
    more = {name: default if given.get(name) is None else given[name] for name, default in DEFAULTS.items()}
    config = {**known, **more, "global_batch_size": batch, **FIXED}
    numbers = ("n_blocks", "L", "kernel_size", "epochs", "train_size", "global_batch_size")
    wrong = [name for name in numbers if not _is_number(config[name]) or config[name] < 0]
    optional = ("mixing_horizon", "lr_epochs", "lr_head", "lr_extractor", "l2_penalty", "weight_decay", "patience")
    wrong += [name for name in optional if config[name] is not None and not _is_number(config[name])]
    wrong += [
        name for name in ("n_blocks", "L", "kernel_size") if name not in wrong and config[name] != int(config[name])
    ]
    wrong += [
        name for name in ("global_avg_pool", "lowpass_last", "random_init", "joint") if not _is_flag(config[name])
    ]
    seed = config["seed"]
    if seed is not None and not (isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32):
        wrong.append("seed")
    if wrong:
        raise WrongFileError(f"{wrong[0]} is {config[wrong[0]]!r}")
    return config


def _is_flag(value: Any) -> bool:
    return value in (True, False, 0, 1)


def _results(config: Fields, results: Fields, curves: Mapping[str, list[Fields]]) -> Fields:
    """Its results, and what ours say besides."""
    accuracies = {name: value for name, value in results.items() if name.endswith("_acc")}
    for name, value in accuracies.items():
        if not _is_number(value) or not 0 <= value <= 100:
            raise WrongFileError(f"{name} is {value!r}, not a percentage")
    last = next((name for name in ("joint_acc", "finetune_acc", "head_acc") if name in accuracies), None)
    if last is None:
        raise WrongFileError("it has no accuracy")
    image_size, num_classes = DATASETS[config["dataset"]]
    workers = int(results.get("world_size") or 1)
    blocks = results.get("block_summary") or []
    return {
        **{name: value for name, value in results.items() if name not in config},
        **dict(_curve_facts(curves)),
        "final_acc": accuracies[last],
        "validation": "test set",
        "image_size": image_size,
        "num_classes": num_classes,
        "batch_norm_images": math.ceil(config["global_batch_size"] / workers),
        **({"final_channels": blocks[-1]["out_channels"]} if blocks else {}),
        "final_size": image_size >> config["n_blocks"],
    }


def _curve_facts(curves: Mapping[str, list[Fields]]) -> Iterator[tuple[str, int]]:
    """How many epochs each phase had, and which was the best."""
    for name, phase in PHASES.items():
        if curve := curves.get(name):
            yield f"{phase}_epochs", len(curve)
            yield f"{phase}_best_epoch", max(curve, key=lambda point: float(point.get("val_acc", -1)))["epoch"]


def _label(given: Fields) -> str:
    """What the authors called the run: the last part of its folder, without the seed."""
    return re.sub(r"_seed\d+$", "", Path(str(given.get("save_dir", ""))).name)


def _finished(file: Path) -> str | None:
    """When it was written, by its name (results_20260228_212909.json)."""
    try:
        return datetime.strptime(file.stem, "results_%Y%m%d_%H%M%S").isoformat()
    except ValueError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
