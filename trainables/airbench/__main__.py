"""`python -m trainables.airbench --ablation mirror --data-dir D --runs 5`: a series of seeds, no Ray.

All fields of the configuration are flags that change the named step; --seed is the first of the --runs seeds. Each
seed leaves results.json and predictions.npz in a folder of its own below --save-dir, and a series that was cut off goes
on with the seeds that are missing. On a GPU, seeds from 5 on train side by side, and have no times. Under torchrun,
each batch is shared between the processes.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from trainables.airbench.config import ABLATIONS, TIMED_SEEDS, AirbenchConfig
from trainables.airbench.preflight import check
from trainables.airbench.side_by_side import train_side_by_side
from trainables.airbench.training import train
from trainables.cli import UsageError, fail, nearest, parse
from trainables.data.catalog import described as described_data
from trainables.data.catalog import locate
from trainables.distributed import Workers, process_group_from_env
from trainables.results import Report

MOST_RUNS = 100_000


def main() -> None:
    """Parse the flags, check the run, train all seeds."""
    with process_group_from_env():
        workers = Workers.current()
        try:
            name, configs = series(sys.argv[1:])
            check(configs[0], workers.world_size)
        except ValueError as error:
            fail(error) if workers.is_main else sys.exit(2)
        if workers.is_main:
            info = locate(configs[0].dataset, configs[0].data_dir)
            mirrored = "; a mirrored digit is none, so all steps run and their order means nothing"
            print(f"Data: {described_data(info, configs[0].data_dir)}{mirrored * (not info.flip)}", flush=True)
        accuracies = []
        try:
            for config, report in reports_of(configs, workers):
                if workers.is_main:
                    print(f"{name} seed {config.seed}  {describe(report)}", flush=True)
                if report["event"] == "stopped":
                    return
                if report["event"] == "result":
                    accuracies.append(report["results"]["final_acc"])
        except (ValueError, FloatingPointError, OSError) as error:
            fail(error, code=1)
        if workers.is_main and len(accuracies) > 1:
            spread = statistics.stdev(accuracies)
            print(f"{name}: mean {statistics.mean(accuracies):.2f} % (std {spread:.2f}, n = {len(accuracies)})")


def reports_of(configs: list[AirbenchConfig], workers: Workers) -> Iterator[tuple[AirbenchConfig, Report]]:
    """The reports of a series: on a GPU of one process, the runs that are not timed train side by side at the end."""
    beside = workers.device.type == "cuda" and workers.world_size == 1
    together = [config for config in configs if beside and config.seed >= TIMED_SEEDS]
    for config in configs:
        if config not in together:
            for report in train(config):
                yield config, report
    if together:
        for number, report in train_side_by_side(together):
            yield together[number], report


def series(args: list[str]) -> tuple[str, list[AirbenchConfig]]:
    """The name of the step and a configuration for each seed. Raises UsageError for wrong flags, or ValueError."""
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    own.add_argument("--ablation", default="mirror")
    own.add_argument("--runs", type=int, default=1)
    try:
        known, rest = own.parse_known_args(args)
    except argparse.ArgumentError as error:
        raise UsageError(f"{error.argument_name}: {error.message}") from None
    if known.ablation not in ABLATIONS:
        raise UsageError(f"unknown ablation {known.ablation!r}{nearest(known.ablation, list(ABLATIONS))}")
    if not 1 <= known.runs <= MOST_RUNS:
        raise UsageError(f"--runs {known.runs}: at least 1, and at most {MOST_RUNS}")
    has_data = any(arg.split("=")[0] == "--data-dir" for arg in rest)
    step = replace(ABLATIONS[known.ablation], dataset="cifar10" if has_data else "digits")
    config = parse(
        AirbenchConfig, rest, prog="python -m trainables.airbench [--ablation NAME] [--runs N]", default=step
    )
    folder = Path(config.save_dir)
    seeds = range(config.seed, config.seed + known.runs)
    return known.ablation, [
        replace(config, seed=seed, save_dir=str(folder / f"{known.ablation}-s{seed}")) for seed in seeds
    ]


def describe(report: dict) -> str:
    """A report as a line for the terminal."""
    match report["event"]:
        case "start":
            return f"{report['actual_train_samples']} training images"
        case "epoch":
            return (
                f"epoch {report['epoch']}/{report['epochs']:g}  loss {report['train_loss']:.4f}  "
                f"{report['images_per_second']:.0f} images/s"
            )
        case "stopped":
            return "stopped as asked; the same command starts it over once the file `stop` is gone"
    results = report["results"]
    if "side_by_side" in results:
        times = f"beside {results['side_by_side'] - 1} other runs"
    else:
        times = f"{results['train_seconds']:.1f} s ({results['seconds']:.1f} s with loading and warm-up)"
    return (
        f"accuracy {results['final_acc']:.2f} % (single view {results['acc_single_view']:.2f} %)  {times}  "
        f"{results['pflop']:.3f} PFLOP in {results['computed_in']}"
    )


if __name__ == "__main__":
    main()
