"""Compares airbench's training step with a plain port: eager, bfloat16 autocast, channels last, the library's layers.

    python -m benchmarks.airbench [--repeats 10] [--json FILE]

Both forms train `mirror` on a batch of 1024 random images, from random weights, a step of each in turn; a ratio is
that of neighbours in time. They do so while the stem's bias learns (the first three epochs), and when it is frozen.
Each form has a process of its own, as `trainables.memory` would help the plain one too; only one works at a time.
"""

import argparse
import itertools
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measuring import cpu, spread
from trainables.airbench.config import ABLATIONS
from trainables.airbench.network import compute_dtype, make_net
from trainables.airbench.optimizers import make_optimizers, set_rates
from trainables.memory import keep_freed_memory

MIRROR = ABLATIONS["mirror"]
STEPS = 476
"""Number of steps of a whole run."""


def main() -> None:
    """Measure, print a table, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    about = {"cpu": cpu(), "threads": torch.get_num_threads(), "torch": torch.__version__, "repeats": args.repeats}
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("\n| stem's bias | form | forward | backward | optimizer | step, s: median (min .. max) | ratio |")
    print("|---|---|---|---|---|---|---|")
    rows = [row for learns in (True, False) for row in measure(learns, args.repeats)]
    if args.json:
        args.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


def measure(learns: bool, repeats: int) -> list[dict[str, object]]:
    """Time both forms in turns, print a row of the table for each, and return the rows."""
    processes = multiprocessing.get_context("spawn")
    pipes = {}
    for name in ("plain", "raysweep"):
        pipes[name], theirs = processes.Pipe()
        processes.Process(target=_serve, args=(theirs, name, learns), daemon=True).start()
    seconds: dict[str, list[list[float]]] = {name: [] for name in pipes}
    for turn in range(-2, repeats):  # the first turns choose kernels and fill the allocator
        for name, pipe in pipes.items():
            pipe.send(True)
            parts = pipe.recv()
            if turn >= 0:
                seconds[name].append(parts)
    for pipe in pipes.values():
        pipe.send(False)
    totals = {name: [sum(parts) for parts in turns] for name, turns in seconds.items()}
    rows = []
    for name, turns in seconds.items():
        parts = [statistics.median(part) for part in zip(*turns, strict=True)]
        ratios = [plain / own for plain, own in zip(totals["plain"], totals[name], strict=True)]
        split = " | ".join(f"{part:.3f}" for part in parts)
        ratio = "" if name == "plain" else spread(ratios)
        print(
            f"| {'learns' if learns else 'frozen'} | {name} | {split} | {spread(totals[name])} | {ratio} |", flush=True
        )
        rows.append({"learns": learns, "form": name, "seconds": turns, "ratios": ratios})
    return rows


def _serve(pipe: Connection, form: str, learns: bool) -> None:
    """Take a step whenever the pipe asks for one, and send the seconds of its parts."""
    x = torch.randn(MIRROR.batch_size, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (MIRROR.batch_size,))
    step = {"plain": plain_step, "raysweep": own_step}[form](x, labels, learns=learns)
    while pipe.recv():
        pipe.send(step())


class PlainGroup(nn.Module):
    """Applies conv, pool, norm, GELU, conv, norm and GELU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding="same", bias=False)
        self.norm1 = nn.BatchNorm2d(width, eps=1e-12, momentum=0.4)
        self.conv2 = nn.Conv2d(width, width, 3, padding="same", bias=False)
        self.norm2 = nn.BatchNorm2d(width, eps=1e-12, momentum=0.4)
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, D, H // 2, W // 2]."""
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class PlainNet(nn.Module):
    """The network as its paper describes it."""

    def __init__(self) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        self.groups = nn.Sequential(PlainGroup(24, 64), PlainGroup(64, 256), PlainGroup(256, 256))
        self.head = nn.Linear(256, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, 32, 32] -> [B, 10]."""
        x = self.groups(F.gelu(self.whiten(x)))
        return self.head(F.max_pool2d(x, 3).flatten(1)) / 9


def plain_step(x: Tensor, labels: Tensor, *, learns: bool) -> Callable[[], list[float]]:
    """A function that takes a step of the plain port, and returns the seconds of forward, backward and optimiser."""
    net = PlainNet().to(memory_format=torch.channels_last)
    net.whiten.bias.requires_grad_(learns)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.85, nesterov=True)

    def forward() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return F.cross_entropy(net(x), labels, label_smoothing=0.2, reduction="sum")

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return lambda: _timed(forward, update)


def own_step(x: Tensor, labels: Tensor, *, learns: bool) -> Callable[[], list[float]]:
    """The same for raysweep's network."""
    keep_freed_memory()
    net = make_net(MIRROR, dtype=compute_dtype(MIRROR, x.device))
    net.stem.bias.requires_grad_(learns)
    optimizers = make_optimizers(net, MIRROR)

    def forward() -> Tensor:
        return F.cross_entropy(net(x, learns), labels, label_smoothing=0.2, reduction="sum")

    def update() -> None:
        set_rates(optimizers, MIRROR, 0, STEPS)
        for optimizer in optimizers:
            optimizer.step()
        net.zero_grad()

    return lambda: _timed(forward, update)


def _timed(forward: Callable[[], Tensor], update: Callable[[], None]) -> list[float]:
    times = [time.perf_counter()]
    loss = forward()
    times.append(time.perf_counter())
    loss.backward()
    times.append(time.perf_counter())
    update()
    times.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(times)]


if __name__ == "__main__":
    main()
