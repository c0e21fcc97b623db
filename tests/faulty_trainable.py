"""A trainable that gives what it is told to give in place of what its contract asks for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GOOD: Mapping[str, Any] = {
    "start": {"event": "start"},
    "epoch": {"event": "epoch", "phase": "train", "epoch": 1, "epochs": 1, "images_per_second": 10.0},
    "result": {"event": "result", "results": {"final_acc": 90.0}},
}
WITHOUT = object()


def without(event: str, name: str) -> list[Any]:
    """The reports of a run of which one lacks a field."""
    return changed(event, **{name: WITHOUT})


def changed(event: str, /, **fields: Any) -> list[Any]:
    """The reports of a run of which one has other fields."""
    reports = {**GOOD, event: {**GOOD[event], **fields}}
    return [{name: v for name, v in report.items() if v is not WITHOUT} for report in reports.values()]


def results_with_a_tensor() -> list[Any]:
    import torch

    return changed("result", results={"head_acc": torch.tensor(61.0)})


REPORTS = {
    "": lambda: list(GOOD.values()),
    "lacks a field": lambda: without("epoch", "images_per_second"),
    "wrong type": lambda: changed("epoch", epochs="ten"),
    "tensor": results_with_a_tensor,
    "number of numpy's": lambda: changed("result", results={"head": [{"acc": np.float32(61.0)}]}),
    "no end": lambda: list(GOOD.values())[:-1],
}
"""What it reports, by the fault."""


@dataclass(frozen=True, kw_only=True)
class FaultyConfig:
    dataset: str = "none"
    data_dir: str | None = None
    seed: int = 0
    fault: str = ""
    save_dir: str = field(default="", metadata={"cosmetic": True})


def check(config: FaultyConfig, num_workers: int) -> dict[str, Any]:
    return {"data": "none", "numerics": 1}


def train(config: FaultyConfig) -> Iterator[Any]:
    yield from REPORTS[config.fault]()
