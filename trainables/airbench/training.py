"""One timed run as a generator of reports: "start", "epoch" and, last, "result" or "stopped".

The clock is the author's: whitening, training and the final evaluation, without compilation, warm-up and loading. Runs
of one process that differ in their seed alone share data, network and warm-up. A finished run only repeats its result;
an interrupted one starts over, since it is short.
"""

import contextlib
import functools
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which torch's first optimiser would import, two seconds into training
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainables.airbench.augmentation import augmented, epoch_flips, epoch_shifts
from trainables.airbench.config import AirbenchConfig
from trainables.airbench.evaluation import TEST_BATCH, accuracy
from trainables.airbench.network import WHITENING_IMAGES, AirbenchNet, make_net
from trainables.airbench.optimizers import Lookahead, make_optimizers, set_rates
from trainables.airbench.preflight import NUMERICS
from trainables.control import Control
from trainables.data.batches import hashed_generator, hashed_seed
from trainables.data.catalog import DataInfo, locate
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.memory import keep_freed_memory
from trainables.results import RESULTS, read_results, save_results

Report = dict[str, Any]

WARM_UP_STEPS = 2


def train(config: AirbenchConfig) -> Iterator[Report]:
    """Train one network. Raises DataError for unreadable data, FloatingPointError for a loss that is not finite."""
    started = time.perf_counter()
    workers, folder = Workers.current(), Path(config.save_dir)
    info = locate(config.dataset, config.data_dir)
    identity = {"data": info.fingerprint(), "world_size": workers.world_size, "numerics": NUMERICS}
    finished = read_results(folder, config, identity)
    workers.agree(float(bool(finished)), folder / RESULTS)
    if finished:
        yield {"event": "result", "results": finished["results"], "curves": finished["curves"]}
        return
    bench = _bench(replace(config, seed=0, save_dir=""), info, workers)
    setup = time.perf_counter() - started
    with contextlib.closing(Control(folder, workers, checkpoint_minutes=math.inf)) as control:
        for report in _Run(config, bench, control).reports():
            if report["event"] == "result":
                report["results"] |= {"setup_seconds": setup, "seconds": time.perf_counter() - started}
                if workers.is_main:
                    save_results(folder, config, identity, report)
                workers.barrier()
            yield report


def compute_dtype(config: AirbenchConfig, device: torch.device) -> torch.dtype:
    """What `precision` means on a device."""
    if config.precision != "auto":
        return getattr(torch, config.precision)
    if device.type == "cuda":
        return torch.float16
    # Processors with bfloat16 products; others would emulate them.
    has = torch.cpu.get_capabilities()
    return torch.bfloat16 if has.get("amx_bf16") or has.get("avx512_bf16") else torch.float32


class Clock:
    """Seconds that passed while it ran, by part. Parts are told apart on CPUs, where calls do not return early."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.parts: dict[str, float] = {}
        self.seconds = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a block, to the end of what it started on the device."""
        self._wait()
        started = time.perf_counter()
        yield
        self._wait()
        self.seconds += time.perf_counter() - started

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Name the time of a block on a CPU."""
        started = time.perf_counter()
        yield
        if self._device.type == "cpu":
            self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class Bench:
    """What all seeds of a configuration share: data on the device, the network, and that it is warmed up."""

    def __init__(self, config: AirbenchConfig, info: DataInfo, workers: Workers) -> None:
        keep_freed_memory()
        torch.backends.cudnn.benchmark = True
        self.workers = workers
        self.dtype = compute_dtype(config, workers.device)
        train_images, test_images = load(info, train_size=1.0, val_split=0.0, seed=0)
        self.pixels, self.labels = self._on_device(train_images.pixels), train_images.labels.to(workers.device)
        own = slice(workers.rank, None, workers.world_size)
        self.test_pixels = self._on_device(test_images.pixels[own])
        self.test_labels = test_images.labels[own].to(workers.device)
        self.n_test, self.num_classes = len(test_images), info.num_classes
        mean, std = (torch.tensor(values)[:, None, None] for values in (info.mean, info.std))
        self._scale, self._shift = (1 / (255 * std)).to(workers.device), (-mean / std).to(workers.device)
        self.net = make_net(config, info.num_classes, dtype=self.dtype).to(workers.device)
        self.model: nn.Module = torch.compile(self.net, dynamic=False) if config.compile else self.net
        self._warm_up(config)

    def normalised(self, pixels: Tensor) -> Tensor:
        """uint8 [B, 3, H, W] -> (pixels / 255 - mean) / std, in float32 on a CPU, else in the type of the network."""
        x = pixels.float().mul_(self._scale).add_(self._shift)
        return x if x.device.type == "cpu" else x.to(self.dtype)

    def test_batches(self) -> list[tuple[Tensor, Tensor]]:
        """This worker's test images, normalised, and their labels."""
        parts = zip(self.test_pixels.split(TEST_BATCH), self.test_labels.split(TEST_BATCH), strict=True)
        return [(self.normalised(pixels), labels) for pixels, labels in parts]

    def _on_device(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.workers.device).contiguous(memory_format=torch.channels_last)

    def _warm_up(self, config: AirbenchConfig) -> None:
        """Steps on dummy labels and an evaluation, which compile and choose kernels; what they learn is thrown away."""
        own = config.batch_size // self.workers.world_size
        step = Step(self, config, total_steps=1)
        dummy = torch.randint(self.num_classes, (own,), device=self.workers.device)
        x = self.normalised(self.pixels[:own])
        for learns in (True, False) if config.freeze else (True,):
            step.stem_learns(learns)
            for _ in range(WARM_UP_STEPS):
                step(x, dummy, 0)
        accuracy(
            self.model,
            [(self.normalised(self.test_pixels[:TEST_BATCH]), self.test_labels[:TEST_BATCH])],
            config.tta,
            self.workers,
        )


_bench = functools.lru_cache(maxsize=1)(Bench)


class Step:
    """Trains the network of a bench by one batch at a time, from its present weights."""

    def __init__(self, bench: Bench, config: AirbenchConfig, *, total_steps: int, clock: Clock | None = None) -> None:
        self.bench, self.config, self.total_steps = bench, config, total_steps
        self.clock = clock or Clock(bench.workers.device)
        bench.net.stem.bias.requires_grad_(True)
        self.optimizers = make_optimizers(bench.net, config)
        self._stem_learns: bool | None = None
        self.stem_learns(True)

    def stem_learns(self, learns: bool) -> None:
        """Let the bias of the stem learn, or freeze it."""
        if learns == self._stem_learns:
            return
        self._stem_learns = learns
        net, workers = self.bench.net, self.bench.workers
        net.stem.bias.requires_grad_(learns)
        if not learns:
            net.stem.bias.grad = None
        self.model = self.bench.model
        if workers.world_size > 1:  # knows which parameters learn from when it is made
            self.model = DistributedDataParallel(
                self.model, forward_sync_buffers=False, init_sync=False, gradient_as_bucket_view=True
            )

    def __call__(self, x: Tensor, labels: Tensor, step: int) -> Tensor:
        """One update from this worker's part of a batch. Returns the sum of its losses."""
        self.bench.net.train()
        with self.clock.part("forward"):
            logits = self.model(x, bool(self._stem_learns))
            loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing, reduction="sum")
        with self.clock.part("backward"):
            # The sum over the whole batch: DistributedDataParallel averages over workers.
            (loss * self.bench.workers.world_size).backward()
        with self.clock.part("optimizer"):
            set_rates(self.optimizers, self.config, step, self.total_steps)
            for optimizer in self.optimizers:
                optimizer.step()
            self.bench.net.zero_grad()
        return loss.detach()


def fresh_net(bench: Bench, config: AirbenchConfig, clock: Clock | None = None) -> AirbenchNet:
    """The network of a bench with the weights that a run of this configuration starts from."""
    net = bench.net
    torch.manual_seed(hashed_seed(config.seed, "initialisation"))
    net.init_weights()
    if config.whiten:
        with clock.part("whitening") if clock else contextlib.nullcontext():
            net.stem.init_whitening(bench.normalised(bench.pixels[:WHITENING_IMAGES]))
    return net


class _Run:
    def __init__(self, config: AirbenchConfig, bench: Bench, control: Control) -> None:
        self.config, self.bench, self.workers, self.control = config, bench, bench.workers, control
        self.clock = Clock(bench.workers.device)
        self.steps_per_epoch = len(bench.labels) // config.batch_size
        self.total_steps = config.total_steps(len(bench.labels))
        self.curve: list[dict[str, float]] = []
        self.stopped = False

    def reports(self) -> Iterator[Report]:
        config, bench = self.config, self.bench
        yield {"event": "start", "resumed_at": None, "actual_train_samples": len(bench.labels)}
        with self.clock.running():
            net = fresh_net(bench, config, self.clock)
            step = Step(bench, config, total_steps=self.total_steps, clock=self.clock)
            self.lookahead = Lookahead(net) if config.lookahead else None
        for epoch in range(math.ceil(self.total_steps / self.steps_per_epoch)):
            before = self.clock.seconds
            with self.clock.running():
                loss, done = self._epoch(step, epoch)
            if self.stopped:
                yield {"event": "stopped"}
                return
            seconds = self.clock.seconds - before
            (total,) = self.workers.sum(loss)
            if not math.isfinite(total):
                raise FloatingPointError(f"the loss is {total} in epoch {epoch + 1}")
            rate = done * config.batch_size / seconds
            trained = {"epoch": epoch + 1, "train_loss": total / (done * config.batch_size), "images_per_second": rate}
            self.curve.append(trained)
            yield {"event": "epoch", "phase": "train", "epochs": config.epochs, "seconds": seconds, **trained}
        trained = self.clock.seconds
        with self.clock.running(), self.clock.part("evaluation"):
            self.workers.broadcast(list(net.buffers()))  # statistics of other parts of the batches
            batches = self.control.each(bench.test_batches())
            averaged, alone = accuracy(bench.model, batches, config.tta, self.workers)
        rates = {
            "train_images_per_second": statistics.median(row["images_per_second"] for row in self.curve),
            "train_validation_images_per_second": config.views * bench.n_test / (self.clock.seconds - trained),
        }
        results = self._results(averaged, alone) | rates
        yield {"event": "result", "results": results, "curves": {"train": self.curve}}

    def _epoch(self, step: Step, epoch: int) -> tuple[float, int]:
        """Train an epoch, or what is left of the run. Returns this worker's sum of losses and the number of steps."""
        config, bench, n = self.config, self.bench, len(self.bench.labels)
        with self.clock.part("augmentation"):
            flips = epoch_flips(n, config.flip, seed=config.seed, epoch=epoch)
            shifts = epoch_shifts(n, config.translate, seed=config.seed, epoch=epoch)
            pixels = augmented(bench.pixels, flips, shifts)
            order = torch.randperm(n, generator=hashed_generator(config.seed, epoch, "order")).to(pixels.device)
        first = epoch * self.steps_per_epoch
        last = min(first + self.steps_per_epoch, self.total_steps)
        loss = torch.zeros((), device=pixels.device)
        for number, batch in zip(range(first, last), order.split(config.batch_size), strict=False):
            epochs_done = number / self.steps_per_epoch
            step.stem_learns(not config.freeze or epochs_done < config.freeze_epochs)
            own = batch.tensor_split(self.workers.world_size)[self.workers.rank]
            loss += step(bench.normalised(pixels[own]), bench.labels[own], number)
            if self.lookahead and epochs_done >= config.lookahead_epochs:
                self.lookahead.after_step(number + 1, self.total_steps)
            if self.control.after_step() == "stop":
                self.stopped = True
                break
        if self.lookahead:
            self.lookahead.after_epoch()
        return loss.item(), last - first

    def _results(self, averaged: float, alone: float) -> Report:
        config, bench, device = self.config, self.bench, self.workers.device
        return {
            "final_acc": averaged,
            "acc_single_view": alone,
            "train_seconds": self.clock.seconds,
            **{f"{part}_seconds": seconds for part, seconds in self.clock.parts.items()},
            "pflop": config.pflop(len(bench.labels), bench.n_test, bench.num_classes),
            "steps": self.total_steps,
            "actual_train_samples": len(bench.labels),
            "num_classes": bench.num_classes,
            "n_params_total": sum(p.numel() for p in bench.net.parameters()),
            "world_size": self.workers.world_size,
            "batch_norm_images": config.batch_size // self.workers.world_size,
            "computed_in": str(bench.dtype).removeprefix("torch."),
            "device": device.type,
            "device_name": self.workers.device_name(),
            **self.workers.memory(),
        }
