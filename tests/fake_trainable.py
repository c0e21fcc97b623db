"""A trainable that only says when it ran, for tests of the launcher."""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class FakeConfig:
    dataset: str = "none"
    data_dir: str | None = None
    seed: int = 0
    seconds: float = 1.0
    crash: str = ""
    epochs: int = 1
    batch_size: int = 8
    batch_parts: int = field(default=1, metadata={"cosmetic": True})
    save_dir: str = field(default="", metadata={"cosmetic": True})


TRAITS = {"batch_parts": "batch_parts"}


def check(config: FakeConfig, num_workers: int) -> dict[str, Any]:
    return {"data": "none", "numerics": 1}


def remedies(config: FakeConfig, num_workers: int) -> list[dict[str, Any]]:
    return [{"changes": {"batch_size": config.batch_size // 2}}]


def train(config: FakeConfig) -> Iterator[dict[str, Any]]:
    started = time.time()
    folder = Path(config.save_dir)
    folder.mkdir(parents=True, exist_ok=True)
    yield {"event": "start", "resumed_at": None}
    if config.crash == "exception" or (config.crash == "odd_seeds" and config.seed % 2):
        raise ValueError("the fake was told to fail")
    if config.crash == "diverges" or (config.crash == "seed_6_diverges" and config.seed == 6):
        raise FloatingPointError("the loss is nan in epoch 1")
    if config.crash == "killed_once" and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), 9)
    if config.crash == "memory" and config.batch_parts < 4:
        raise MemoryError("not enough for a whole batch")
    if config.crash == "memory_always":
        raise MemoryError("not enough for anything")
    while time.time() < started + config.seconds:
        time.sleep(0.01)
        if (folder / "stop").exists():
            yield {"event": "stopped"}
            return
    results = {"started": started, "ended": time.time(), "pid": os.getpid(), "born": process_start()}
    results |= {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "threads": os.environ.get("OMP_NUM_THREADS")}
    yield {"event": "result", "results": results, "curves": {}}


def train_side_by_side(configs: Sequence[FakeConfig]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Its runs take turns; results say which seeds trained beside each other."""
    together = [config.seed for config in configs]
    turns = deque(enumerate(train(config) for config in configs))
    failed: list[FloatingPointError] = []
    while turns:
        number, reports = turns.popleft()
        try:
            for report in reports:
                if report["event"] == "result":
                    report["results"]["together"] = together
                yield number, report
                turns.append((number, reports))
                break
        except FloatingPointError as error:
            failed.append(error)
    if failed:
        raise failed[0]


def process_start() -> float:
    """When this process was started, in seconds since 1970."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    up = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")
