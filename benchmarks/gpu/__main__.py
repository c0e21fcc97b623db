"""Compares training on a GPU with plain forms of the same work, within so many minutes.

    python -m benchmarks.gpu [--data-dir CIFAR10] [--only NAME ...] [--minutes 6] [--repeats 5] [--json FILE]

It needs a GPU and torch >= 2.11, but neither Ray nor data: without --data-dir images are drawn. First come the ceilings
of the card (large matrix products, a copy), then whole training steps of scattering networks in both phases, whole
airbench runs, what stands between airbench's convolutions and a whole scattering run, the most important rows first;
what no longer fits into the time is named at the end. Forms of one piece of work are timed in turns, and a ratio is
that of neighbours in time: above 1, raysweep is the faster one. "of the floor" is the least time that operations (at
the measured rate of a large product) or bytes (at that of a copy) allow, over the time taken. --only takes rows whose
names contain one of the words.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import airbench_chains, airbench_runs, scattering_steps, whole_run
from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.drawn import drawn_cifar10
from benchmarks.gpu.table import head, line, slowest_ratio
from benchmarks.measuring import spread

Rows = list[dict[str, Any]]
Part = tuple[str, float, Callable[[], Rows]]
"""The name of a piece of work, the seconds that it takes at least, and what measures it."""


def main() -> None:
    """Measure, print as it goes, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="CIFAR-10; drawn images without it")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="rows whose names contain one of these")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="leave the figures there, too")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("error: python -m benchmarks.gpu needs a GPU, and PyTorch finds none here", file=sys.stderr)
        sys.exit(2)
    end = time.monotonic() + 60 * args.minutes
    device = torch.device("cuda", torch.cuda.current_device())
    about = {"gpu": torch.cuda.get_device_name(device), "torch": torch.__version__, "repeats": args.repeats}
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    ceilings = Ceilings.of(device)
    rates = ", ".join(f"{name} {rate / 1e12:.0f} TFLOP/s" for name, rate in ceilings.flops.items())
    print(f"ceilings: {rates} (float32 as TF32), {ceilings.bandwidth / 1e12:.2f} TB/s\n{head()}", flush=True)
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        data_dir = args.data_dir or str(drawn_cifar10(Path(folder)))
        left_out = []
        for name, least, part in parts(device, ceilings, data_dir, args.repeats):
            if args.only and not any(word.lower() in name.lower() for word in args.only):
                continue
            if time.monotonic() + least > end:
                left_out.append(name)
                continue
            for row in measured(name, part):
                print(shown(row), flush=True)
                rows.append(row)
            if args.json:
                found = {**about, "ceilings": asdict(ceilings), "rows": rows, "left_out": left_out}
                args.json.write_text(json.dumps(found, indent=1) + "\n")
    if (slowest := slowest_ratio(rows)) is not None:
        print(f"\nsmallest of the median ratios: {slowest:.2f}")
    if left_out:
        print(f"left out for want of time (--minutes {args.minutes:g}): {', '.join(left_out)}")


def parts(device: torch.device, ceilings: Ceilings, data_dir: str, repeats: int) -> Iterator[Part]:
    """All pieces of work, the most important ones first."""
    steps = [
        (case.label, 15.0, partial(scattering_steps.measure, case, device, ceilings, repeats=repeats))
        for case in scattering_steps.cases()
    ]
    runs = [
        (f"airbench {name}", least, partial(airbench_runs.measure, name, data_dir, device, ceilings, runs=runs))
        for name, least, runs in (("mirror", 60.0, 10), ("muon", 90.0, 10), ("compile", 90.0, 5))
    ]
    yield from steps[:4]
    yield from runs[:1]
    yield "airbench chains", 25.0, partial(airbench_chains.measure, device, ceilings, repeats=repeats)
    yield from steps[4:8]
    yield "CIFAR whole run", 150.0, partial(whole_run.measure, data_dir)
    yield "airbench muon seeds", 60.0, partial(airbench_runs.side_by_side, "muon", data_dir, seeds=50, alone=3)
    yield from runs[1:]
    yield from steps[8:]


def measured(name: str, part: Callable[[], Rows]) -> Rows:
    """The rows of a piece of work; a line in their place where it cannot be done on this card."""
    try:
        return part()
    except (RuntimeError, OSError, ValueError) as error:  # of one piece of work; the others are measured all the same
        print(f"{name} was not measured: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
        return []


def shown(row: dict[str, Any]) -> str:
    """A row as it is printed: of steps a row of the table, of whole runs a line."""
    if "rate" in row:
        return line(row)
    text = f"{row['work']}, {row['form']}: {spread(row['seconds'])} s, ratio {spread(row['ratios'])}"
    if accuracies := row.get("accuracies"):
        text += f", accuracy {sum(accuracies) / len(accuracies):.2f} % (n = {len(accuracies)})"
    return text


if __name__ == "__main__":
    main()
