"""A trainable that only sleeps, by which `benchmarks.orchestration` measures what a sweep costs beside training."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SleeperConfig:
    """A run that takes so many seconds."""

    dataset: str = "none"
    data_dir: str | None = None
    seed: int = 0
    seconds: float = 1.0
    save_dir: str = field(default="", metadata={"cosmetic": True})


def check(config: SleeperConfig, num_workers: int) -> dict[str, Any]:
    """Facts about the run, which can always run."""
    return {"data": "none", "numerics": 1}


def train(config: SleeperConfig) -> Iterator[dict[str, Any]]:
    """Sleep. The results say when that began and ended, in seconds since 1970."""
    started = time.time()
    yield {"event": "start", "resumed_at": None}
    time.sleep(config.seconds)
    yield {"event": "result", "results": {"begun": started, "ended": time.time()}, "curves": {}}
