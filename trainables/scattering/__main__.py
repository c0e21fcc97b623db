"""`python -m trainables.scattering` or `torchrun --nproc_per_node=N -m trainables.scattering`: one run, no Ray.

It takes the flags of the original train.py, prints its progress and leaves best.pt, last.pt, results.json,
predictions.npz and filters.npz in --save-dir.
"""

import sys
from typing import Any

from trainables.cli import fail, parse
from trainables.data.catalog import described as described_data
from trainables.data.catalog import locate
from trainables.distributed import Workers, process_group_from_env
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.preflight import check
from trainables.scattering.training import train


def main() -> None:
    """Parse the flags, check the run, train."""
    with process_group_from_env():
        workers = Workers.current()
        try:
            config = parse(ScatteringConfig, prog="python -m trainables.scattering")
            check(config, workers.world_size)
        except ValueError as error:
            fail(error) if workers.is_main else sys.exit(2)
        try:
            if workers.is_main:
                info = locate(config.dataset, config.data_dir, config.image_size)
                others = "; other data by --dataset and --data-dir" if info.layout == "embedded" else ""
                print(f"Data: {described_data(info, config.data_dir)}{others}", flush=True)
            for report in train(config):
                if workers.is_main:
                    print(describe(report), flush=True)
        except (ValueError, FloatingPointError, OSError) as error:
            fail(error, code=1)  # the other workers end when they miss this one


def describe(report: dict[str, Any]) -> str:
    """A report as text for the terminal, of one line or a few."""
    match report["event"]:
        case "start":
            lines = [f"{report['actual_train_samples']} training images, {report['test_samples']} validation images"]
            if report["resumed_at"]:
                phase, epoch, step = report["resumed_at"]
                lines.append(f"going on after phase {phase}, epoch {epoch}{f' and {step} steps' * bool(step)}")
            for row in report["block_summary"]:
                note = "low-pass only" if row["lowpass_only"] else ""
                if row["requested_horizon"] not in (None, row["mixing_horizon"]):
                    note += f" (horizon {row['requested_horizon']} asked)"
                lines.append(
                    f"  block {row['block']}: {row['in_channels']} -> {row['out_channels']} channels, "
                    f"horizon {row['mixing_horizon']} {note}".rstrip()
                )
            return "\n".join(lines)
        case "stopped":
            return "stopped as asked, with a checkpoint; the same command goes on once the file `stop` is gone"
        case "progress":
            return (
                f"{report['phase']} {report['epoch']}: step {report['step']}/{report['steps']}  "
                f"loss {report['train_loss']:.4f}  {_pace(report)}"
            )
        case "epoch":
            return (
                f"{report['phase']} {report['epoch']}/{report['epochs']}: loss {report['train_loss']:.4f}  "
                f"val loss {report['val_loss']:.4f}  val acc {report['val_acc']:.2f} (top-5 {report['val_acc5']:.2f})  "
                f"{_pace(report)}"
            )
        case _:
            return "\n".join(
                f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}"
                for name, value in report["results"].items()
                if name != "block_summary"
            )


def _pace(report: dict[str, Any]) -> str:
    """How fast training is, and how much of its time it waits."""
    return f"{report['images_per_second']:.0f} images/s  {report['data_wait']:.0f} % waiting for images"


if __name__ == "__main__":
    main()
