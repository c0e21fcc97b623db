"""What a sweep says while it runs: one line for each trial's start, epochs and end."""

import time
from typing import Any

from raysweep.plan import Run


class Progress:
    """Prints lines such as `[ 42 s] C seed 42  head 3/20  val acc 61.20  1520 images/s`."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def line(self, run: Run, text: str) -> None:
        """Print a line about a run."""
        elapsed = time.monotonic() - self._started
        print(f"[{elapsed:5.0f} s] {run.experiment.name} seed {run.config.seed}  {text}", flush=True)

    def report(self, run: Run, report: dict[str, Any]) -> None:
        """Print a trainable's report."""
        match report.get("event"):
            case "start" if report.get("resumed_at"):
                phase, epoch, step = report["resumed_at"]
                self.line(run, f"goes on after {phase} epoch {epoch}{f' and {step} steps' * bool(step)}")
            case "start":
                samples, workers = report.get("actual_train_samples"), run.num_workers
                self.line(run, f"starts: {samples} training images, {workers} worker{'s' * (workers > 1)}")
            case "epoch":
                parts = [f"{report['phase']} {report['epoch']}/{report['epochs']:g}"]
                for name, text in (("train_loss", "loss {:.4f}"), ("val_acc", "val acc {:.2f}")):
                    if name in report:
                        parts.append(text.format(report[name]))
                parts.append(f"{report['images_per_second']:.0f} images/s")
                self.line(run, "  ".join(parts))
