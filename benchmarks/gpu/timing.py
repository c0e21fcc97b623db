"""Takes the times of several forms of one piece of work on a device, in turns."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

TURN_SECONDS = 0.25
"""A turn is as many steps of a form as take so long."""

Step = Callable[[], object]


@dataclass(kw_only=True)
class Measured:
    """What a form was seen to take."""

    seconds: list[float] = field(default_factory=list)
    """Of a step, in each turn."""
    peak_bytes: int = 0
    """Of the device's memory beyond what was held before the form was made, until it had taken its first steps."""
    kernels: int = 0
    """That a step runs on a GPU."""

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.seconds)


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(step: Step, n: int, device: torch.device) -> float:
    """Mean seconds of `n` steps in a row."""
    wait(device)
    started = time.perf_counter()
    for _ in range(n):
        step()
    wait(device)
    return (time.perf_counter() - started) / n


def in_turns(
    makers: Mapping[str, Callable[[], Step]], device: torch.device, *, repeats: int, warm_up: int
) -> dict[str, Measured]:
    """Make all forms, let each take `warm_up` steps, and time them in turns. Raises torch.OutOfMemoryError."""
    measured = {name: Measured() for name in makers}
    steps: dict[str, Step] = {}
    for name, make in makers.items():
        steps[name], measured[name].peak_bytes = _made(make, device, warm_up)
    counts = {name: max(1, math.ceil(TURN_SECONDS / seconds_of(step, 3, device))) for name, step in steps.items()}
    for _ in range(repeats):
        for name, step in steps.items():
            measured[name].seconds.append(seconds_of(step, counts[name], device))
    for name, step in steps.items():
        measured[name].kernels = kernels_of(step, device)
    return measured


def _made(make: Callable[[], Step], device: torch.device, warm_up: int) -> tuple[Step, int]:
    """The form, warm, and the most bytes that it took."""
    if device.type != "cuda":
        step = make()
        seconds_of(step, warm_up, device)
        return step, 0
    release()
    before = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    step = make()
    seconds_of(step, warm_up, device)
    return step, torch.cuda.max_memory_reserved(device) - before


def release() -> None:
    """Give back the memory of what is no longer used."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def kernels_of(step: Step, device: torch.device) -> int:
    """How many kernels and copies a step runs on a GPU; 0 elsewhere, and where they cannot be counted."""
    if device.type != "cuda":
        return 0
    from torch.profiler import ProfilerActivity, profile

    wait(device)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        step()
        wait(device)
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profiled.events() or ())
