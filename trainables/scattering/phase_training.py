"""Trains one phase of a run: its epochs, the best of which is kept, until patience or the number of epochs ends it."""

import math
import time
from collections.abc import Iterator
from functools import partial

from trainables.results import Report
from trainables.scattering import checkpoint
from trainables.scattering.epoch_training import EpochTraining
from trainables.scattering.phases import begin_phase
from trainables.scattering.run_state import CURVES, RunState


class PhaseTraining:
    """One phase ("head", "finetune" or "joint") of a run, from its beginning or from a checkpoint."""

    def __init__(self, run: RunState, phase: str) -> None:
        self.run, self.phase = run, phase
        self.step = begin_phase(run.net, run.config, run.workers, phase)
        self.training = EpochTraining(run, self.step, phase)
        self.epochs = run.config.head_epochs if phase == "head" else run.config.epochs
        self.epoch = 0
        """Epochs that are done."""
        self.best: Report = {"epoch": 0, "val_acc": -1.0, "val_acc5": -1.0}
        """The epoch with the best validation accuracy, and its accuracies in percent."""
        if not run.timings.medians():
            run.timings.add("setup_seconds", time.perf_counter() - run.started)
        if "n_params_total" not in run.results:
            run.results.update(run.net.parameter_counts())

    def reports(self, resumed: Report | None) -> Iterator[Report]:
        """Yield progress and an "epoch" report after each epoch's checkpoint; the best network is loaded at the end.

        `resumed` is the content of last.pt where that is of this phase. Raises StopRequested.
        """
        run = self.run
        within = self._go_on(resumed) if resumed else None
        if not resumed and self.phase == "finetune":
            run.results["baseline_acc"] = run.validate(self.phase)["val_acc"]
            # before best.pt of this phase replaces that of the head phase
            run.save_last(self.phase, self.epoch, self.best, self.step)
        run.workers.barrier()
        run.control.begin_phase()  # the first step may compile
        while self.epoch < self.epochs and self.epoch - self.best["epoch"] < run.config.patience:
            self.epoch += 1
            yield from self._train_epoch(within)
            within = None
        self._end()

    def _go_on(self, resumed: Report) -> Report | None:
        """Take over a checkpoint. Returns its position within the next epoch, None if it was written between epochs."""
        self.run.net.load_learnt_state(resumed["model"])
        self.step.load_optimizer(resumed["optimizer"])
        self.step.load_state(resumed["step"])
        self.epoch, self.best = resumed["epoch"], resumed["best"]
        saved = self.run.read(checkpoint.BEST)
        if saved and saved["phase"] == self.phase:  # perhaps of an epoch later than last.pt, which is then done again
            self.best = {key: saved[key] for key in self.best}
        return resumed["within"]

    def _train_epoch(self, within: Report | None) -> Iterator[Report]:
        """Train, validate, write checkpoints and report."""
        run, phase, epoch = self.run, self.phase, self.epoch
        self.step.set_rates(self._rates())
        started = time.perf_counter()
        trained: Report = {}
        save = partial(run.save_last, phase, epoch - 1, self.best, self.step)
        for report in self.training.reports(epoch, within, save):
            if report["event"] == "progress":
                yield report
            trained = report
        measured = {"train_loss": trained["train_loss"], **run.validate(phase)}
        validated = time.perf_counter()
        run.curves[CURVES[phase]].append({"epoch": epoch, **measured})
        if measured["val_acc"] > self.best["val_acc"]:
            self.best = {"epoch": epoch, "val_acc": measured["val_acc"], "val_acc5": measured["val_acc5"]}
            run.save_best(phase, self.best)
        run.timings.add(f"{phase}_images_per_second", trained["images_per_second"])
        run.timings.add(f"{phase}_data_wait", trained["data_wait"])
        run.results |= run.timings.medians()
        run.save_last(phase, epoch, self.best, self.step)
        run.timings.add(f"{phase}_checkpoint_seconds", time.perf_counter() - validated)
        yield {
            "event": "epoch",
            "phase": phase,
            "epoch": epoch,
            "epochs": self.epochs,
            "lr": self._rates()[0],
            **measured,
            "best_acc": self.best["val_acc"],
            "images_per_second": trained["images_per_second"],
            "data_wait": trained["data_wait"],
            "seconds": time.perf_counter() - started,
        }

    def _rates(self) -> list[float]:
        """The learning rates of the present epoch: half a cosine from their initial values to zero."""
        return [0.5 * rate * (1 + math.cos(math.pi * (self.epoch - 1) / self.epochs)) for rate in self.step.rates]

    def _end(self) -> None:
        """Load the best network and note its accuracies. Raises OSError where best.pt is not there any more."""
        run, phase = self.run, self.phase
        run.workers.barrier()  # the main worker has written best.pt
        saved = run.read(checkpoint.BEST)
        if saved is None:
            raise OSError(f"{run.folder / checkpoint.BEST} has gone")
        run.net.load_learnt_state(saved["model"])
        run.best_classes = saved.get("classes")
        run.results |= run.timings.medians() | {
            f"{phase}_acc": self.best["val_acc"],
            f"{phase}_acc5": self.best["val_acc5"],
            f"{phase}_best_epoch": self.best["epoch"],
            f"{phase}_epochs": self.epoch,
            **({f"{phase}_launched": self.step.captured.launched} if self.step.captured else {}),
        }
