"""Training in two phases (or a joint one) as a generator of reports.

    for report in train(config): ...

Reports are plain dicts with an "event": "start" (once), "progress" (within an epoch), "epoch" (after the epoch's
checkpoint is on disk) and, last, "result". Whoever runs the generator prints, stores or forwards them. All workers of
a run see the same "start", "epoch" and "result" events in the same order. Started again with the same configuration
and save_dir, a run goes on after its last finished epoch; a finished one only repeats its "result".
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainables.data.batches import Batches
from trainables.data.catalog import DataInfo, locate
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.scattering import checkpoint
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.network import ScatteringNet, initial_blocks
from trainables.scattering.preflight import NUMERICS

Report = dict[str, Any]

CURVES = {"head": "phase_a", "finetune": "phase_b", "joint": "joint"}
"""Names of the phases' curves in the result files of the original."""


def train(config: ScatteringConfig) -> Iterator[Report]:
    """Train one network. Raises DataError for an unreadable image, FloatingPointError for a loss that is not finite."""
    workers, folder = Workers.current(), Path(config.save_dir)
    info = locate(config.dataset, config.data_dir, config.image_size)
    identity = {"data": info.fingerprint(), "world_size": workers.world_size, "numerics": NUMERICS}
    finished = checkpoint.read_results(folder, config, identity)
    workers.agree(float(bool(finished)), folder / checkpoint.RESULTS)
    if finished:
        yield {"event": "result", "results": finished["results"], "curves": finished["curves"]}
    else:
        yield from _Run(config, workers, info, identity).reports()


class _Run:
    def __init__(self, config: ScatteringConfig, workers: Workers, info: DataInfo, identity: dict[str, Any]) -> None:
        self.config, self.workers, self.identity = config, workers, identity
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
        self.results: dict[str, Any] = {
            "train_size": config.train_size,
            "actual_train_samples": len(train_images),
            "test_samples": len(val_images),
            "validation": "held out" if config.val_split or info.layout == "classes" else "test set",
            "image_size": info.image_size,
            "num_classes": info.num_classes,
            "world_size": self.workers.world_size,
            "device": self.workers.device.type,
            "block_summary": self.net.block_summary(),
        }
        self.curves: dict[str, list[dict[str, float]]] = {name: [] for name in CURVES.values()}
        self.seconds_before = 0.0
        self.started = time.perf_counter()

    def reports(self) -> Iterator[Report]:
        resumed = self._read(checkpoint.LAST)
        if resumed and self._read(checkpoint.BEST) is None:
            resumed = None
        at_step = 1.0 + resumed["epoch"] + 1e6 * self.config.phases.index(resumed["phase"]) if resumed else 0.0
        self.workers.agree(at_step, self.folder / checkpoint.LAST)  # and nobody writes before all have read
        phases = self.config.phases
        if resumed:
            self.results, self.curves = resumed["results"], resumed["curves"]
            self.seconds_before = resumed["seconds"]
            phases = phases[phases.index(resumed["phase"]) :]
        at = [resumed["phase"], resumed["epoch"]] if resumed else None
        yield {"event": "start", "resumed_at": at, **self.results}
        for phase in phases:
            yield from self._phase(phase, resumed if resumed and resumed["phase"] == phase else None)
        yield self._finish()

    def _phase(self, phase: str, resumed: Report | None) -> Iterator[Report]:
        config, net = self.config, self.net
        self._set_learning(phase)
        if "n_params_total" not in self.results:
            self.results.update(net.parameter_counts())
        epochs = config.head_epochs if phase == "head" else config.epochs
        optimizer = torch.optim.AdamW(self._groups(phase), weight_decay=config.weight_decay, fused=True)
        rates = [group["lr"] for group in optimizer.param_groups]
        epoch, best = 0, {"epoch": 0, "val_acc": -1.0, "val_acc5": -1.0}
        if resumed:
            net.load_learnt_state(resumed["model"])
            optimizer.load_state_dict(resumed["optimizer"])
            epoch, best = resumed["epoch"], resumed["best"]
            saved = self._read(checkpoint.BEST)
            if saved and saved["phase"] == phase:  # perhaps of an epoch later than last.pt, which is then done again
                best = {key: saved[key] for key in best}
        elif phase == "finetune":
            self.results["baseline_acc"] = self._validate()["val_acc"]
            self._save_last(phase, epoch, best, optimizer)  # before best.pt of this phase replaces that of the other
        anchor = self._anchor() if phase == "finetune" and config.l2_penalty else None
        self.workers.barrier()
        model: nn.Module = net
        if self.workers.world_size > 1:
            # Running statistics play no part in training; _validate takes those of the main worker, as DDP would.
            # All workers start from the same seed or file; a broadcast would touch the frozen filters, which then
            # no longer count as the wavelets they are.
            model = DistributedDataParallel(
                net, forward_sync_buffers=False, init_sync=False, gradient_as_bucket_view=True
            )

        while epoch < epochs and epoch - best["epoch"] < config.patience:
            epoch += 1
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = 0.5 * rate * (1 + math.cos(math.pi * (epoch - 1) / epochs))
            epoch_started = time.perf_counter()
            trained: Report = {}
            for report in self._train_epoch(model, optimizer, phase, epoch, anchor):
                if report["event"] == "progress":
                    yield report
                trained = report
            measured = {"train_loss": trained["train_loss"], **self._validate()}
            self.curves[CURVES[phase]].append({"epoch": epoch, **measured})
            is_best = measured["val_acc"] > best["val_acc"]
            if is_best:
                best = {"epoch": epoch, "val_acc": measured["val_acc"], "val_acc5": measured["val_acc5"]}
            if is_best and self.workers.is_main:
                checkpoint.save(self.folder, checkpoint.BEST, net, identity=self.identity, phase=phase, **best)
            self.results[f"{phase}_images_per_second"] = trained["images_per_second"]
            self._save_last(phase, epoch, best, optimizer)
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
        self.results |= {
            f"{phase}_acc": best["val_acc"],
            f"{phase}_acc5": best["val_acc5"],
            f"{phase}_best_epoch": best["epoch"],
            f"{phase}_epochs": epoch,
        }

    def _set_learning(self, phase: str) -> None:
        if phase == "head":
            self.net.freeze_extractor()
        else:
            self.net.unfreeze_extractor()

    def _groups(self, phase: str) -> list[dict[str, Any]]:
        head = {"params": self.net.head_parameters(), "lr": self.config.lr_head}
        if phase == "head":
            return [head]
        rate = self.config.lr_extractor if phase == "finetune" else self.config.lr_head
        return [{"params": list(self.net.extractor_parameters()), "lr": rate}, head]

    def _anchor(self) -> list[Tensor]:
        """The extractor before fine-tuning, which is its initial state: the head phase leaves it alone."""
        return [p.detach().to(self.workers.device) for p in initial_blocks(self.config).parameters()]

    def _train_epoch(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        phase: str,
        epoch: int,
        anchor: list[Tensor] | None,
    ) -> Iterator[Report]:
        """Progress reports, and a last one with the epoch's loss and images per second over all workers."""
        workers, every, steps = self.workers, self.config.print_freq, self.train_batches.num_steps()
        model.train()
        loss_sum, seen = torch.zeros((), dtype=torch.float64, device=workers.device), 0
        images, started = 0, time.perf_counter()

        def summary(event: str, loss: float) -> Report:
            rate = images / (time.perf_counter() - started)
            return {"event": event, "phase": phase, "epoch": epoch, "train_loss": loss, "images_per_second": rate}

        for step, (x, labels, batch_size) in enumerate(self.train_batches.training(phase, epoch), start=1):
            loss = F.cross_entropy(model(x), labels, reduction="sum")
            # The mean over the global batch: workers may hold unequal parts of it, and DDP averages over workers.
            objective = loss * (workers.world_size / batch_size)
            if anchor is not None:
                distance = sum(
                    (p - p0).square().sum() for p, p0 in zip(self.net.extractor_parameters(), anchor, strict=True)
                )
                objective = objective + self.config.l2_penalty * distance
                loss = loss + self.config.l2_penalty * distance.detach() * len(labels)
            optimizer.zero_grad()
            objective.backward()
            optimizer.step()
            loss_sum += loss.detach()
            seen, images = seen + len(labels), images + batch_size
            if every and step % every == 0:
                yield {**summary("progress", loss_sum.item() / seen), "step": step, "steps": steps}
        optimizer.zero_grad()  # gives back the gradients' memory before validation and checkpoint
        total, count = workers.sum(loss_sum.item(), seen)
        if not math.isfinite(total):
            raise FloatingPointError(f"the loss is {total} in epoch {epoch} of phase {phase}")
        yield summary("trained", total / count)

    @torch.inference_mode()
    def _validate(self) -> dict[str, float]:
        """Mean loss, top-1 and top-5 accuracy in percent over all validation images, each counted once."""
        self.workers.broadcast(list(self.net.buffers()))
        self.net.eval()
        sums = torch.zeros(3, dtype=torch.float64, device=self.workers.device)
        for x, labels in self.val_batches.validation():
            logits = self.net(x)
            top = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
            sums += torch.stack(
                [F.cross_entropy(logits, labels, reduction="sum"), top[:, 0].sum(), top.any(1).sum()]
            ).double()
        loss, top1, top5 = self.workers.sum(*sums.tolist())
        n = len(self.val_batches.images)
        return {"val_loss": loss / n, "val_acc": 100 * top1 / n, "val_acc5": 100 * top5 / n}

    def _read(self, name: str) -> Report | None:
        return checkpoint.read(self.folder, name, self.config, self.identity)

    def _save_last(self, phase: str, epoch: int, best: Report, optimizer: torch.optim.Optimizer) -> None:
        if self.workers.is_main:
            checkpoint.save(
                self.folder,
                checkpoint.LAST,
                self.net,
                identity=self.identity,
                phase=phase,
                epoch=epoch,
                best=best,
                optimizer=optimizer.state_dict(),
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
        results["seconds"] = self._seconds()
        report = {"event": "result", "results": results, "curves": self.curves}
        if self.workers.is_main:
            checkpoint.save_results(self.folder, self.config, self.identity, report)
        self.workers.barrier()
        return report

    @torch.no_grad()
    def _filter_change(self) -> tuple[float, float]:
        """L2 distance of the extractor from its state before fine-tuning, and the norm of that state."""
        moved = norm = 0.0
        for p, p0 in zip(self.net.extractor_parameters(), self._anchor(), strict=True):
            moved += (p - p0).double().square().sum().item()
            norm += p0.double().square().sum().item()
        return math.sqrt(moved), math.sqrt(norm)
