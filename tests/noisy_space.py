"""A family whose runs draw their result at random, so that questions take a known number of seeds: for --space."""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysweep.experiment import Experiment, Family, Group, Metric, Question


@dataclass(frozen=True, kw_only=True, slots=True)
class NoisyConfig:
    arm: str = "base"
    mean: float = 90.0
    spread: float = 0.5
    images: int = 1000
    seconds: float = 0.0
    fails_at: int = -1
    """The seed with which a run fails."""
    seed: int = 0
    save_dir: str = field(default="", metadata={"cosmetic": True})


def check(config: NoisyConfig, num_workers: int) -> dict[str, Any]:
    phase = {"phase": "train", "epochs": 1, "train_images": config.images}
    return {"data": "none", "numerics": 1, "phases": [phase]}


def score(config: NoisyConfig) -> float:
    """What a run measures: seeds are shared by the arms, which makes pairs."""
    shared, own = random.Random(config.seed), random.Random(f"{config.arm} {config.seed}")
    return config.mean + shared.gauss(0, 1) + own.gauss(0, config.spread)


def train(config: NoisyConfig) -> Iterator[dict[str, Any]]:
    yield {"event": "start"}
    if config.seed == config.fails_at:
        raise ValueError("told to fail")
    until = time.monotonic() + config.seconds
    while time.monotonic() < until:
        time.sleep(0.01)
        if os.path.exists(Path(config.save_dir) / "stop"):
            yield {"event": "stopped"}
            return
    yield {"event": "epoch", "phase": "train", "epoch": 1, "epochs": 1, "images_per_second": 1000.0}
    yield {"event": "result", "results": {"score": score(config), "train_images_per_second": 1000.0}}


def _experiment(name: str, priority: int = 0, **fields: Any) -> Experiment:
    return Experiment(
        name=name, config=NoisyConfig(arm=name, **fields), trainable=__name__, priority=priority, seeds=(0, 1)
    )


def _question(arm: str) -> Question:
    return Question(
        name=f"is_{arm}",
        text=f"Is {arm} better?",
        baseline="base",
        arms=(arm,),
        metrics=("score",),
        smallest_effect=1.0,
        factor=("arm", "mean", "spread", "images"),
    )


FAMILY = Family(
    name="noisy",
    dataset="none",
    experiments=(
        _experiment("base"),
        _experiment("better", mean=93.0),
        _experiment("equal", priority=1),
        _experiment("costly", priority=1, mean=90.8, spread=1.0, images=20_000),
        _experiment("alone", priority=2),
    ),
    groups=(Group(name="noisy", experiments=("base", "better", "equal", "costly", "alone")),),
    questions=tuple(map(_question, ("better", "equal", "costly"))),
    metrics=(Metric(name="score", unit="%", better="higher"),),
)
