"""A trainable whose images, sizes and speed are known numbers, for tests of the plan."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PlannedConfig:
    dataset: str = "none"
    data_dir: str | None = None
    seed: int = 0
    width: int = 1
    epochs: int = 10
    patience: int = 100
    images: int = 1000
    global_avg_pool: bool = False
    global_batch_size: int = 1024
    mixing_horizon: int | None = None
    fails: str = ""
    save_dir: str = field(default="", metadata={"cosmetic": True})


def check(config: PlannedConfig, num_workers: int) -> dict[str, Any]:
    phase = {
        "phase": "head",
        "epochs": config.epochs,
        "least_epochs": min(config.epochs, config.patience + 1),
        "train_images": config.images,
        "validation_images": 500,
        "validation_images_once": 0,
        "cached": True,
    }
    tuned = {**phase, "phase": "finetune", "validation_images_once": 500, "cached": False}
    return {
        "data": "none",
        "numerics": 1,
        "n_params_extractor": 40_000_000 * config.width,
        "n_params_classifier": 234,
        "phases": [phase, tuned],
        "rate_fields": ("width", "global_avg_pool", "global_batch_size", "mixing_horizon", "fails"),
    }


def train(config: PlannedConfig) -> Iterator[dict[str, Any]]:
    yield {"event": "start"}
    yield {"event": "result", "results": {"width": config.width}}


def cost(config: PlannedConfig, num_workers: int, device: str) -> dict[str, Any]:
    memory = 10**9 * config.width // (4 if config.global_avg_pool else 1) // (2 if config.mixing_horizon else 1)
    phases = [
        {"phase": "head", "flops_forward": 100 * config.width, "flops_train": 200 * config.width},
        {"phase": "finetune", "flops_forward": 100 * config.width, "flops_train": 300 * config.width},
    ]
    return {
        "flops_forward": 100 * config.width,
        "flops_train": 300 * config.width,
        "memory_bytes": memory,
        "phases": [{**phase, "memory_bytes": memory} for phase in phases],
    }


def remedies(config: PlannedConfig, num_workers: int) -> list[dict[str, Any]]:
    """All leave as much memory as the parameters do not take, but for the batch."""
    frees = 24 * (40_000_000 * config.width + 234)
    found: list[dict[str, Any]] = []
    if not config.global_avg_pool:
        found.append({"changes": {"global_avg_pool": True}, "frees": frees})
    found.append({"changes": {"global_batch_size": config.global_batch_size // 2}, "leaves": 0.5})
    if config.mixing_horizon is None:
        found.append({"changes": {"mixing_horizon": 27}, "frees": frees})
    return found


def measure(config: PlannedConfig, num_workers: int) -> dict[str, float]:
    if config.fails == "error":
        raise ValueError("the fake was told to fail")
    if config.fails == "killed":
        os.kill(os.getpid(), 9)
    print("a line that a library says")
    return {
        "head_images_per_second": 100.0 * num_workers,
        "threads_per_second": float(os.environ["OMP_NUM_THREADS"]),
        "started_seconds": time.time(),
    }


def position(config: PlannedConfig) -> tuple[str, int] | None:
    file = Path(config.save_dir) / "last.pt"
    if not file.exists():
        return None
    phase, epoch = file.read_text().split()
    return phase, int(epoch)
