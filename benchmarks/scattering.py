"""Compares raysweep's training step of scattering networks with the definition, written plainly.

    python -m benchmarks.scattering [--every] [--only NAME ...] [--repeats 5] [--json FILE]

The plain form (tests/reference.py) filters at full resolution and then applies the 2x2 kernel, in float32, eager; it
computes no gradients of a frozen extractor. Both forms start from the same weights, take the same optimiser and run in
turns in one process, each turn as many steps as take a quarter of a second; a ratio is that of neighbours in time. Peak
memory is that of a process of its own. --every takes all architectures of the search spaces instead, at the largest
batches that the plain form can bear on a machine with two cores.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

import search_spaces
from benchmarks.measuring import cpu, spread
from tests.reference import PlainNet
from trainables.distributed import Workers
from trainables.memory import keep_freed_memory, peak_resident_bytes
from trainables.scattering import ScatteringConfig, ScatteringNet
from trainables.scattering.step import Step

CIFAR = ScatteringConfig(dataset="cifar10", n_blocks=3, L=4, kernel_size=5)
IMAGENET_C = ScatteringConfig(dataset="imagenet", n_blocks=4, L=4, lowpass_last=True)
PLAIN = "plain"
WEIGHTS_THAT_FIT = 600_000_000
"""The most weights of a classifier that both forms hold in memory at once."""
TURN_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A network and what is done with a batch of it."""

    name: str
    config: ScatteringConfig
    work: Literal["features", "head", "finetune"]
    """The features alone, a training step of the head on frozen wavelets, or one in which everything learns."""
    batch: int
    """Number of images."""
    precisions: tuple[str, ...] = ("float32",)

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return 32 if self.config.dataset == "cifar10" else 224

    @property
    def num_classes(self) -> int:
        """Number of the network's outputs."""
        return 10 if self.config.dataset == "cifar10" else 1000


def main() -> None:
    """Measure, print a table, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", action="store_true", help="all architectures of the search spaces")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks alone")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", nargs=2, metavar=("CASE", "FORM"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    keep_freed_memory()
    cases = every_case() if args.every else headline_cases()
    if args.memory_of:
        name, form = args.memory_of
        _form(next(case for case in cases if _key(case) == name), form)()
        print(peak_resident_bytes() // 2**20)
        return
    about = {"cpu": cpu(), "threads": torch.get_num_threads(), "torch": torch.__version__, "repeats": args.repeats}
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("\n| network | work | batch | form | images/s | ratio: median (min .. max) | peak MB |")
    print("|---|---|---|---|---|---|---|")
    cases = [case for case in cases if not args.only or case.name in args.only]
    rows = [row for case in cases for row in measure(case, args.repeats, every=args.every)]
    if args.json:
        args.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


def headline_cases() -> list[Case]:
    """The cases whose figures stand in benchmarks/README.md."""
    both = ("float32", "bfloat16")
    relu = replace(CIFAR, L=8, modulus_type="phase_relu")
    return [
        Case(name="CIFAR, 3 blocks, L=4", config=CIFAR, work="head", batch=128, precisions=both),
        Case(name="CIFAR, 3 blocks, L=8, phase ReLU", config=relu, work="head", batch=128, precisions=both),
        Case(name="ImageNet C", config=IMAGENET_C, work="features", batch=32, precisions=both),
        Case(name="CIFAR, 3 blocks, L=4", config=CIFAR, work="finetune", batch=128, precisions=both),
        Case(name="CIFAR, 3 blocks, L=8, phase ReLU", config=relu, work="finetune", batch=128, precisions=both),
        Case(name="ImageNet C", config=IMAGENET_C, work="finetune", batch=32, precisions=both),
    ]


def every_case() -> list[Case]:
    """Both phases of each architecture of the search spaces, pooled where the classifier would not fit into memory."""
    networks: dict[ScatteringConfig, str] = {}
    for family in search_spaces.families():
        for experiment in family.experiments:
            c = experiment.config
            architecture = ScatteringConfig(
                dataset=c.dataset,
                n_blocks=c.n_blocks,
                L=c.L,
                kernel_size=c.kernel_size,
                modulus_type=c.modulus_type,
                mixing_horizon=c.mixing_horizon,
                lowpass_last=c.lowpass_last,
                global_avg_pool=c.global_avg_pool or c.n_classifier_weights(224, 1000) > WEIGHTS_THAT_FIT,
            )
            networks.setdefault(architecture, experiment.name)
    cases = []
    for config, name in networks.items():
        batch = 128 if config.dataset == "cifar10" else 4 if config.n_params_extractor() > 100_000_000 else 8
        if config.n_blocks == 5 and config.L == 8:
            batch = 2
        cases.append(Case(name=name, config=config, work="head", batch=max(16, batch)))
        cases.append(Case(name=name, config=config, work="finetune", batch=batch))
    return cases


def measure(case: Case, repeats: int, *, every: bool) -> list[dict[str, Any]]:
    """Time all forms of a case in turns, print a row of the table for each, and return the rows."""
    forms = {name: _form(case, name) for name in (PLAIN, *case.precisions)}
    steps = {}
    for name, step in forms.items():
        step()  # the first call chooses kernels and packs weights
        steps[name] = math.ceil(TURN_SECONDS / _seconds(step, 1))
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, step in forms.items():
            seconds[name].append(_seconds(step, steps[name]))
    del forms, step
    rows = []
    for name, times in seconds.items():
        ratios = [plain / own for plain, own in zip(seconds[PLAIN], times, strict=True)]
        row = {
            "network": case.name,
            "work": case.work,
            "batch": case.batch,
            "form": name,
            "seconds": times,
            "ratios": ratios,
            "peak_mb": _memory_in_new_process(case, name, every=every),
        }
        rate = case.batch / statistics.median(times)
        print(
            f"| {case.name} | {case.work} | {case.batch} | {name} | {rate:.{0 if rate >= 20 else 2}f} "
            f"| {'' if name == PLAIN else spread(ratios)} | {row['peak_mb']} |",
            flush=True,
        )
        rows.append(row)
    return rows


def _seconds(step: Callable[[], object], n: int) -> float:
    """Mean seconds of `n` steps in a row."""
    started = time.perf_counter()
    for _ in range(n):
        step()
    return (time.perf_counter() - started) / n


def _form(case: Case, name: str) -> Callable[[], object]:
    """A function that does the work of a case once, in the form "plain" or in raysweep's with a precision."""
    config = case.config if name == PLAIN else replace(case.config, precision=name)
    net = ScatteringNet(config, image_size=case.image_size, num_classes=case.num_classes)
    model: nn.Module = net
    if name == PLAIN:
        model = PlainNet.of(config, image_size=case.image_size, num_classes=case.num_classes)
        model.load_state_dict(net.state_dict())
    if case.work != "finetune":
        model.blocks.requires_grad_(False) if name == PLAIN else net.freeze_extractor()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(case.batch, 3, case.image_size, case.image_size, generator=generator)
    labels = torch.randint(case.num_classes, (case.batch,), generator=generator)
    if case.work == "features":

        @torch.no_grad()
        def features() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16"):
                model.features(x)

        return features
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    if name != PLAIN:
        step = Step(net, optimizer, config, Workers.current())
        return lambda: step(x, labels, case.batch)

    def plain_step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return plain_step


def _key(case: Case) -> str:
    return f"{case.name}/{case.work}"


def _memory_in_new_process(case: Case, form: str, *, every: bool) -> int:
    command = [sys.executable, "-m", "benchmarks.scattering", "--memory-of", _key(case), form]
    done = subprocess.run(command + ["--every"] * every, check=True, capture_output=True, text=True)
    return int(done.stdout)


if __name__ == "__main__":
    main()
