"""Whole airbench runs on a GPU, on the author's clock, against plain ports in turns, and seeds side by side; the first
runs are left out."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.plain_airbench import Images, Run
from benchmarks.gpu.timing import release
from trainables.airbench import ABLATIONS, AirbenchConfig, train, train_side_by_side
from trainables.airbench.side_by_side import AT_ONCE
from trainables.data.catalog import locate
from trainables.data.loading import load

PAIRS = {"mirror": ("mirror", False), "compile": ("mirror", True), "muon": ("muon", True)}
"""Each of raysweep's steps, and the plain port that it is compared with: the method, and whether it is compiled."""

Timed = Callable[[int], tuple[float, float]]
"""Trains with a seed, and returns the seconds and the accuracy in percent."""


def measure(name: str, data_dir: str, device: torch.device, ceilings: Ceilings, *, runs: int) -> list[dict[str, Any]]:
    """A row for the plain port and one for raysweep: seconds and accuracies of `runs` runs each."""
    method, compiled = PAIRS[name]
    config = replace(ABLATIONS[name], dataset="cifar10", data_dir=data_dir)
    info = locate("cifar10", data_dir)
    with tempfile.TemporaryDirectory() as folder:

        def own(seed: int) -> tuple[float, float]:
            *_, last = train(replace(config, seed=seed, save_dir=str(Path(folder, str(seed)))))
            return last["results"]["train_seconds"], last["results"]["final_acc"]

        plain = f"plain {method}{', max-autotune' if compiled else ''}"
        forms: dict[str, Timed] = {plain: Run(method, _images(data_dir, device), compiled=compiled), name: own}
        found: dict[str, list[tuple[float, float]]] = {form: [] for form in forms}
        for seed in range(runs + 1):
            for form, timed in forms.items():
                found[form].append(timed(seed))
    release()
    floor = 1e15 * config.pflop(info.n_train, info.n_test) / ceilings.flops["float16"]
    return [_row(name, form, times[1:], found[plain][1:], floor) for form, times in found.items()]


def side_by_side(name: str, data_dir: str, *, seeds: int, alone: int) -> list[dict[str, Any]]:
    """A row for so many seeds at once: the seconds of all of them after the start, against as many runs alone.

    Of runs alone, the median of `alone` is taken. What is captured first is not counted.
    """
    config = replace(ABLATIONS[name], dataset="cifar10", data_dir=data_dir)
    with tempfile.TemporaryDirectory() as folder:

        def of_seeds(numbers: Iterable[int]) -> list[AirbenchConfig]:
            return [replace(config, seed=seed, save_dir=str(Path(folder, str(seed)))) for seed in numbers]

        times = [[*train(one)][-1]["results"]["train_seconds"] for one in of_seeds(range(alone + 1))][1:]
        for _ in train_side_by_side(of_seeds(range(100, 100 + AT_ONCE))):
            pass
        started = time.perf_counter()
        found = [report for _, report in train_side_by_side(of_seeds(range(200, 200 + seeds)))]
        seconds = time.perf_counter() - started
    release()
    ended = [report["results"] for report in found if report["event"] == "result"]
    return [
        {
            "work": f"airbench {name}, {seeds} seeds",
            "form": f"{ended[0].get('side_by_side', 1)} side by side",
            "seconds": [seconds],
            "accuracies": [results["final_acc"] for results in ended],
            "ratios": [seeds * statistics.median(times) / seconds],
        }
    ]


def _row(
    name: str, form: str, times: list[tuple[float, float]], plain: list[tuple[float, float]], floor: float
) -> dict[str, Any]:
    seconds = [own for own, _ in times]
    return {
        "work": f"airbench {name}, whole runs",
        "form": form,
        "seconds": seconds,
        "accuracies": [accuracy for _, accuracy in times],
        "ratios": [theirs / own for (theirs, _), own in zip(plain, seconds, strict=True)],
        "of_floor": [floor / own for own in seconds],
    }


def _images(data_dir: str, device: torch.device) -> Images:
    train_images, test_images = load(locate("cifar10", data_dir), train_size=1.0, val_split=0.0, seed=0)
    parts = (train_images.pixels, train_images.labels, test_images.pixels, test_images.labels)
    train, train_labels, test, test_labels = (part.to(device) for part in parts)
    return Images(train=train, train_labels=train_labels, test=test, test_labels=test_labels)
