"""What the phases of a run share: network, images, results so far, and the checkpoints from which a run goes on."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.control import RunControl
from trainables.data.batches import Batches
from trainables.data.info import DataInfo
from trainables.data.loading import load, validation_images
from trainables.distributed import Workers
from trainables.predictions import save_predictions
from trainables.results import Report
from trainables.scattering import checkpoint
from trainables.scattering.config import ScatteringConfig, micro_batches
from trainables.scattering.evaluation import Validation
from trainables.scattering.network import ScatteringNet
from trainables.scattering.step import Step
from trainables.timing import Timings

CURVES = {"head": "phase_a", "finetune": "phase_b", "joint": "joint"}
"""Names of the phases' curves in the result files of the original."""

OF_THIS_PROCESS = ("batch_norm_images", "batch_parts", "loaders", "decoded_on")
"""Results that say how this process computes, whatever the ones before it did."""


class RunState:
    """One worker's view of a run that trains."""

    def __init__(
        self, config: ScatteringConfig, workers: Workers, info: DataInfo, identity: dict[str, Any], control: RunControl
    ) -> None:
        self.started, self.timings = time.perf_counter(), Timings()
        self.config, self.workers, self.identity, self.control = config, workers, identity, control
        self.folder = Path(config.save_dir)
        train_images, val_images = load(
            info, train_size=config.train_size, val_split=config.val_split, seed=config.seed
        )
        self._validation_images = validation_images(info, val_split=config.val_split, seed=config.seed)
        options: dict[str, Any] = {
            "global_batch_size": config.global_batch_size,
            "workers": self.workers,
            "seed": config.seed,
            "num_loaders": config.workers,
            "decode": config.decode,
        }
        self.train_batches = Batches(info, train_images, augment=config.augment, **options)
        self.val_batches = Batches(info, val_images, augment=False, **options)
        net = ScatteringNet(config, image_size=info.image_size, num_classes=info.num_classes)
        self.net = net.to(self.workers.device)
        self.validation = Validation(self.net, self.val_batches, config, self.workers, control)
        self.results = self._first_results(info)
        """The results so far, by the names that the result file has for them."""
        self.curves: dict[str, list[dict[str, float]]] = {name: [] for name in CURVES.values()}
        """What was measured in each epoch, by the names of `CURVES`."""
        self.best_classes: Tensor | None = None
        """The class that the best network of the last phase found for each validation image, [n]; None before it is
        there, and where a checkpoint from before these were kept does not say it."""
        self._seconds_before = 0.0

    def _first_results(self, info: DataInfo) -> dict[str, Any]:
        """What can be said before anything is trained."""
        return {
            "train_size": self.config.train_size,
            "actual_train_samples": len(self.train_batches.images),
            "test_samples": len(self.val_batches.images),
            "validation": "held out" if self.config.val_split or info.layout == "classes" else "test set",
            **info.described(),
            "world_size": self.workers.world_size,
            "device": self.workers.device.type,
            "device_name": self.workers.device_name(),
            **self.workers.arithmetic(),
            "batch_norm_images": batch_norm_images(self.config, self.workers.world_size),
            "batch_parts": self.config.batch_parts,
            **({"decoded_on": self.train_batches.decoded_on} if self.config.decode == "gpu" else {}),
            "validation_features": self.validation.features_come_from(),
            "block_summary": self.net.block_summary(),
            **({"loaders": self.train_batches.loaders} if self.train_batches.loaders else {}),
        }

    def seconds(self) -> float:
        """Seconds that the run has taken so far, those before it was interrupted included."""
        return self._seconds_before + time.perf_counter() - self.started

    def validate(self, phase: str) -> dict[str, float]:
        """Measure loss and accuracies, and how many images a second that takes with and without cached features."""
        frozen, cached = phase == "head", self.validation.has_features
        started = time.perf_counter()
        measured = self.validation(frozen=frozen)
        name = f"{phase}{'_cached' * (frozen and cached)}_validation_images_per_second"
        self.timings.add(name, len(self.val_batches.images) / (time.perf_counter() - started))
        return measured

    def read(self, name: str) -> Report | None:
        """The run's own best.pt or last.pt; None where there is none or it is damaged. Raises as `checkpoint.read`."""
        return checkpoint.read(self.folder, name, self.config, self.identity)

    def resume(self) -> Report | None:
        """Take over the results of the last checkpoint, and return it; None where the run has to begin.

        Raises OSError unless all workers find the same one.
        """
        last = self.read(checkpoint.LAST)
        if last and (last["best"]["epoch"] or last["phase"] != self.config.phases[0]):
            last = last if self.read(checkpoint.BEST) else None  # a phase ends by reading it
        # This waits for all workers: none writes a checkpoint before all have read theirs.
        self.workers.agree(self._position_number(position_in(last)) if last else 0, self.folder / checkpoint.LAST)
        if last:
            own = {name: self.results[name] for name in OF_THIS_PROCESS if name in self.results}
            self.results, self.curves = last["results"] | own, last["curves"]
            self._seconds_before = last["seconds"]
        return last

    def _position_number(self, position: tuple[str, int, int]) -> int:
        """A positive number that differs for each position in the run."""
        phase, epoch, step = position
        return ((self.config.phases.index(phase) * 10**4 + epoch) * 10**6 + step) + 1

    def save_best(self, phase: str, best: Report) -> None:
        """Write best.pt, with the network as it is, what `best` says of it and, in the last phase, what it predicts."""
        predicted = {"classes": self._predicted()} if phase == self.config.phases[-1] else {}
        if self.workers.is_main:
            content = {"identity": self.identity, "phase": phase, **best, **predicted}
            checkpoint.save(self.folder, checkpoint.BEST, self.net, **content)

    def _predicted(self) -> Tensor:
        """The classes that the last validation found, in a small type. All workers have to ask for them."""
        return self.validation.classes().to(torch.uint8 if self.net.num_classes <= 256 else torch.int32)

    def save_predictions(self) -> None:
        """Leave what the best network predicts for whoever started the run, where that is known."""
        if self.workers.is_main and self.best_classes is not None:
            last = self.config.phases[-1]
            save_predictions(
                self.folder,
                self.best_classes,
                self.val_batches.images.labels,
                images=self._validation_images,
                metrics=("final_acc", f"{last}_acc"),
            )

    def save_last(self, phase: str, epoch: int, best: Report, step: Step, within: Report | None = None) -> None:
        """Write last.pt after so many epochs of a phase, or `within` the next one."""
        self.control.checkpoint_written()
        if self.workers.is_main:
            checkpoint.save(
                self.folder,
                checkpoint.LAST,
                self.net,
                identity=self.identity,
                phase=phase,
                epoch=epoch,
                within=within,
                best=best,
                optimizer=step.optimizer_state(),
                step=step.state(),
                results=self.results,
                curves=self.curves,
                seconds=self.seconds(),
            )


def position_in(last: Report) -> tuple[str, int, int]:
    """Where last.pt was written: the phase, how many of its epochs were done, and steps of the next one."""
    return last["phase"], last["epoch"], (last["within"] or {}).get("step", 0)


def batch_norm_images(config: ScatteringConfig, world_size: int) -> int:
    """Images that batch norm takes its statistics over in a full step, which is the largest part of a batch."""
    parts = micro_batches(config.global_batch_size, world_size, config.micro_batch, config.batch_parts)
    share = config.global_batch_size if config.sync_batch_norm else config.global_batch_size / world_size
    return math.ceil(share / parts)
