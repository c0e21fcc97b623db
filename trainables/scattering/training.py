"""Training in two phases (or a joint one) as a generator of reports.

    for report in train(config): ...

Reports are plain dicts with an "event": "start" (once), "progress" (within an epoch), "epoch" (after the epoch's
checkpoint is on disk) and, last, "result", or "stopped" where a file `stop` in save_dir asked for it. Whoever runs the
generator prints, stores or forwards them. All workers of a run see the same "start", "epoch", "result" and "stopped"
events in the same order. Started again with the same configuration and save_dir, a run goes on from its last checkpoint
with the numbers that it would have had; a finished one only repeats its "result".
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which torch's first optimiser would import, two seconds into training

from trainables.control import Control
from trainables.data.batches import Batches
from trainables.data.catalog import DataInfo, locate
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.memory import keep_freed_memory
from trainables.results import RESULTS, read_results, save_results
from trainables.scattering import checkpoint
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.evaluation import Validation
from trainables.scattering.network import ScatteringNet
from trainables.scattering.phases import anchor, begin_phase
from trainables.scattering.preflight import NUMERICS
from trainables.scattering.step import Step, micro_batches
from trainables.timing import Timings

Report = dict[str, Any]

CURVES = {"head": "phase_a", "finetune": "phase_b", "joint": "joint"}
"""Names of the phases' curves in the result files of the original."""


def train(config: ScatteringConfig) -> Iterator[Report]:
    """Train one network. Raises DataError for an unreadable image, FloatingPointError for a loss that is not finite."""
    keep_freed_memory()
    workers, folder = Workers.current(), Path(config.save_dir)
    info = locate(config.dataset, config.data_dir, config.image_size)
    identity = {"data": info.fingerprint(), "world_size": workers.world_size, "numerics": NUMERICS}
    finished = read_results(folder, config, identity)
    workers.agree(float(bool(finished)), folder / RESULTS)
    if finished:
        yield {"event": "result", "results": finished["results"], "curves": finished["curves"]}
    else:
        control = Control(folder, workers, checkpoint_minutes=config.checkpoint_minutes)
        with contextlib.closing(control):
            yield from _Run(config, workers, info, identity, control).reports()


class _Stopped(Exception):  # noqa: N818
    """The run has been asked to stop and has written its checkpoint."""


class _Run:
    def __init__(
        self, config: ScatteringConfig, workers: Workers, info: DataInfo, identity: dict[str, Any], control: Control
    ) -> None:
        self.started, self.timings, self.cold = time.perf_counter(), Timings(), True
        self.config, self.workers, self.identity, self.control = config, workers, identity, control
        self.folder = Path(config.save_dir)
        train_images, val_images = load(
            info, train_size=config.train_size, val_split=config.val_split, seed=config.seed
        )
        shared: dict[str, Any] = {
            "global_batch_size": config.global_batch_size,
            "workers": self.workers,
            "seed": config.seed,
            "num_loaders": config.workers,
        }
        self.train_batches = Batches(info, train_images, augment=config.augment, **shared)
        self.val_batches = Batches(info, val_images, augment=False, **shared)
        net = ScatteringNet(config, image_size=info.image_size, num_classes=info.num_classes)
        self.net = net.to(self.workers.device)
        self.validation = Validation(self.net, self.val_batches, config, self.workers, control)
        self.results: dict[str, Any] = {
            "train_size": config.train_size,
            "actual_train_samples": len(train_images),
            "test_samples": len(val_images),
            "validation": "held out" if config.val_split or info.layout == "classes" else "test set",
            "image_size": info.image_size,
            "num_classes": info.num_classes,
            "world_size": self.workers.world_size,
            "device": self.workers.device.type,
            "device_name": self.workers.device_name(),
            "batch_norm_images": self._batch_norm_images(),
            "batch_parts": config.batch_parts,
            "validation_features": self._validation_features(),
            "block_summary": self.net.block_summary(),
        }
        self.curves: dict[str, list[dict[str, float]]] = {name: [] for name in CURVES.values()}
        self.seconds_before = 0.0

    def reports(self) -> Iterator[Report]:
        resumed = self._read(checkpoint.LAST)
        if resumed and (resumed["best"]["epoch"] or resumed["phase"] != self.config.phases[0]):
            resumed = resumed if self._read(checkpoint.BEST) else None
        at = [resumed["phase"], resumed["epoch"], (resumed["within"] or {}).get("step", 0)] if resumed else None
        self.workers.agree(self._position(*at) if at else 0, self.folder / checkpoint.LAST)
        # and nobody has written before all have read
        phases = self.config.phases
        if resumed:
            parts = {name: self.results[name] for name in ("batch_norm_images", "batch_parts")}
            self.results, self.curves = resumed["results"] | parts, resumed["curves"]
            self.seconds_before = resumed["seconds"]
            phases = phases[phases.index(resumed["phase"]) :]
        yield {"event": "start", "resumed_at": at, **self.results}
        try:
            for phase in phases:
                yield from self._phase(phase, resumed if resumed and resumed["phase"] == phase else None)
        except _Stopped:
            yield {"event": "stopped"}
        else:
            yield self._finish()

    def _position(self, phase: str, epoch: int, step: int) -> int:
        """A number for where a checkpoint was written."""
        return ((self.config.phases.index(phase) * 10**4 + epoch) * 10**6 + step) + 1

    def _phase(self, phase: str, resumed: Report | None) -> Iterator[Report]:
        config, net = self.config, self.net
        take_step = begin_phase(net, config, self.workers, phase)
        optimizer, self.cold = take_step.optimizer, True
        if not self.timings.medians():
            self.timings.add("setup_seconds", time.perf_counter() - self.started)
        if "n_params_total" not in self.results:
            self.results.update(net.parameter_counts())
        epochs = config.head_epochs if phase == "head" else config.epochs
        rates = [group["lr"] for group in optimizer.param_groups]
        epoch, best = 0, {"epoch": 0, "val_acc": -1.0, "val_acc5": -1.0}
        within: Report | None = None
        if resumed:
            within = resumed["within"]
            net.load_learnt_state(resumed["model"])
            optimizer.load_state_dict(resumed["optimizer"])
            take_step.load_state(resumed["step"])
            epoch, best = resumed["epoch"], resumed["best"]
            saved = self._read(checkpoint.BEST)
            if saved and saved["phase"] == phase:  # perhaps of an epoch later than last.pt, which is then done again
                best = {key: saved[key] for key in best}
        elif phase == "finetune":
            self.results["baseline_acc"] = self._validate(phase)["val_acc"]
            self._save_last(phase, epoch, best, take_step)  # before best.pt of this phase replaces that of the other
        self.workers.barrier()
        self.control.begin()  # the first step compiles
        while epoch < epochs and epoch - best["epoch"] < config.patience:
            epoch += 1
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = 0.5 * rate * (1 + math.cos(math.pi * (epoch - 1) / epochs))
            epoch_started = time.perf_counter()
            trained: Report = {}
            save = partial(self._save_last, phase, epoch - 1, best, take_step)
            for report in self._train_epoch(take_step, phase, epoch, within, save):
                if report["event"] == "progress":
                    yield report
                trained = report
            within = None
            measured = {"train_loss": trained["train_loss"], **self._validate(phase)}
            evaluated = time.perf_counter()
            self.curves[CURVES[phase]].append({"epoch": epoch, **measured})
            is_best = measured["val_acc"] > best["val_acc"]
            if is_best:
                best = {"epoch": epoch, "val_acc": measured["val_acc"], "val_acc5": measured["val_acc5"]}
            if is_best and self.workers.is_main:
                checkpoint.save(self.folder, checkpoint.BEST, net, identity=self.identity, phase=phase, **best)
            self.timings.add(f"{phase}_images_per_second", trained["images_per_second"])
            self.results |= self.timings.medians()
            self._save_last(phase, epoch, best, take_step)
            self.timings.add(f"{phase}_checkpoint_seconds", time.perf_counter() - evaluated)
            yield {
                "event": "epoch",
                "phase": phase,
                "epoch": epoch,
                "epochs": epochs,
                "lr": optimizer.param_groups[0]["lr"],
                **measured,
                "best_acc": best["val_acc"],
                "images_per_second": trained["images_per_second"],
                "seconds": time.perf_counter() - epoch_started,
            }
        self.workers.barrier()  # the main worker has written best.pt
        saved = self._read(checkpoint.BEST)
        if saved is None:
            raise OSError(f"{self.folder / checkpoint.BEST} has gone")
        net.load_learnt_state(saved["model"])
        self.results |= self.timings.medians() | {
            f"{phase}_acc": best["val_acc"],
            f"{phase}_acc5": best["val_acc5"],
            f"{phase}_best_epoch": best["epoch"],
            f"{phase}_epochs": epoch,
        }

    def _train_epoch(
        self, take_step: Step, phase: str, epoch: int, within: Report | None, save: Callable[[Report], None]
    ) -> Iterator[Report]:
        """Progress reports, and a last one with the epoch's loss and images per second over all workers.

        `within` is where in this epoch to go on; `save` writes a checkpoint with such a position. Raises _Stopped.
        """
        workers, every, steps = self.workers, self.config.print_freq, self.train_batches.num_steps()
        self.net.train()
        first, (loss_before, seen) = (within["step"], within["sums"][workers.rank]) if within else (0, (0.0, 0))
        loss_sum = torch.tensor(loss_before, dtype=torch.float64, device=workers.device)
        images, started = 0, time.perf_counter()
        cold_seconds, cold_images = 0.0, 0

        def summary(event: str, loss: float) -> Report:
            rate = images / (time.perf_counter() - started)
            return {"event": event, "phase": phase, "epoch": epoch, "train_loss": loss, "images_per_second": rate}

        batches = self.train_batches.training(phase, epoch, first)
        for step, (x, labels, batch_size) in enumerate(batches, start=first + 1):
            loss_sum += take_step(x, labels, batch_size)
            seen, images = seen + len(labels), images + batch_size
            order = self.control.after_step()
            if order != "go on":
                save({"step": step, "sums": workers.gather(loss_sum.item(), seen)})
            if order == "stop":
                raise _Stopped
            if every and step % every == 0:
                yield {**summary("progress", loss_sum.item() / seen), "step": step, "steps": steps}
            if self.cold and step < steps:  # the phase's first step here, and not the epoch's only one
                loss_sum.item()  # waits for the device
                cold_seconds, cold_images = time.perf_counter() - started, images
                images, started = 0, time.perf_counter()
            self.cold = False
        if cold_images:
            warm_seconds = (time.perf_counter() - started) / images * cold_images
            self.timings.add(f"{phase}_warm_up_seconds", max(0.0, cold_seconds - warm_seconds))
        take_step.optimizer.zero_grad()  # gives back the gradients' memory before validation and checkpoint
        total, count = workers.sum(loss_sum.item(), seen)
        if not math.isfinite(total):
            raise FloatingPointError(f"the loss is {total} in epoch {epoch} of phase {phase}")
        yield summary("trained", total / count)

    def _validate(self, phase: str) -> dict[str, float]:
        """Loss and accuracies, timed: from the cache in all but the head phase's first pass."""
        frozen, cached = phase == "head", self.validation.has_features
        started = time.perf_counter()
        measured = self.validation(frozen=frozen)
        name = f"{phase}{'_cached' * (frozen and cached)}_validation_images_per_second"
        self.timings.add(name, len(self.val_batches.images) / (time.perf_counter() - started))
        return measured

    def _batch_norm_images(self) -> int:
        """Images that batch norm takes its statistics over in a full step, the largest part of them."""
        config, workers = self.config, self.workers
        parts = micro_batches(config.global_batch_size, workers.world_size, config.micro_batch, config.batch_parts)
        share = config.global_batch_size if config.sync_batch_norm else config.global_batch_size / workers.world_size
        return math.ceil(share / parts)

    def _validation_features(self) -> str:
        """How the head phase comes by the features of the validation images."""
        size = f"{self.validation.cache_bytes() / 2**20:.0f} MB"
        if "head" not in self.config.phases:
            return "computed"
        if self.validation.fits_cache():
            return f"cached ({size}{' in half precision' if self.config.half_cache else ''})"
        return f"computed in every epoch ({size} exceed feature_cache_gb={self.config.feature_cache_gb:g})"

    def _read(self, name: str) -> Report | None:
        return checkpoint.read(self.folder, name, self.config, self.identity)

    def _save_last(self, phase: str, epoch: int, best: Report, take_step: Step, within: Report | None = None) -> None:
        """Write last.pt, after an epoch or `within` the next one."""
        self.control.saved()
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
                optimizer=take_step.optimizer.state_dict(),
                step=take_step.state(),
                results=self.results,
                curves=self.curves,
                seconds=self._seconds(),
            )

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def _finish(self) -> Report:
        """Complete the results and write them, which marks the run as done."""
        results, last = self.results, self.config.phases[-1]
        results["final_acc"], results["final_acc5"] = results[f"{last}_acc"], results[f"{last}_acc5"]
        if last == "finetune":
            results["finetune_gain"] = results["finetune_acc"] - results["baseline_acc"]
            moved, norm = self._filter_change()
            results["filter_delta_l2"] = moved
            results["filter_delta_relative"] = moved / norm if norm else 0.0
        results |= self.workers.memory()
        results["seconds"] = self._seconds()
        report = {"event": "result", "results": results, "curves": self.curves}
        if self.workers.is_main:
            save_results(self.folder, self.config, self.identity, report)
        self.workers.barrier()
        return report

    @torch.no_grad()
    def _filter_change(self) -> tuple[float, float]:
        """L2 distance of the extractor from its state before fine-tuning, and the norm of that state."""
        moved = norm = 0.0
        for p, p0 in zip(self.net.extractor_parameters(), anchor(self.config, self.workers.device), strict=True):
            moved += (p - p0).double().square_().sum().item()
            norm += p0.double().square_().sum().item()
        return math.sqrt(moved), math.sqrt(norm)
