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
from collections.abc import Iterator
from pathlib import Path

import torch
import torch._dynamo  # which torch's first optimiser would import, two seconds into training

from trainables.compiler import require_compiler
from trainables.control import RunControl
from trainables.data.catalog import locate
from trainables.device import let_kernels_be_chosen
from trainables.distributed import Workers
from trainables.memory import keep_freed_memory
from trainables.results import RESULTS, Report, read_results, save_results
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.epoch_training import StopRequested
from trainables.scattering.filter_pictures import save_filters
from trainables.scattering.phase_training import PhaseTraining
from trainables.scattering.phases import anchor
from trainables.scattering.preflight import NUMERICS
from trainables.scattering.run_state import RunState, position_in


def train(config: ScatteringConfig) -> Iterator[Report]:
    """Train one network, and yield reports on it.

    Raises DataError for an unreadable image, FloatingPointError for a loss that is not finite, and ValueError where
    save_dir holds another run, or the network is to be compiled and there is no compiler.
    """
    keep_freed_memory()
    let_kernels_be_chosen()
    workers, folder = Workers.current(), Path(config.save_dir)
    info = locate(config.dataset, config.data_dir, config.image_size)
    identity = {"data": info.fingerprint(), "world_size": workers.world_size, "numerics": NUMERICS}
    finished = read_results(folder, config, identity)
    workers.agree(float(bool(finished)), folder / RESULTS)
    if finished:
        yield {"event": "result", "results": finished["results"], "curves": finished["curves"]}
    else:
        if config.is_compiled:
            require_compiler(workers.device.type)
        control = RunControl(folder, workers, checkpoint_minutes=config.checkpoint_minutes)
        with contextlib.closing(control):
            yield from _train_phases(RunState(config, workers, info, identity, control))


def _train_phases(run: RunState) -> Iterator[Report]:
    """Train all phases that are left, from the last checkpoint where there is one."""
    last = run.resume()
    yield {"event": "start", "resumed_at": list(position_in(last)) if last else None, **run.results}
    phases = run.config.phases
    if last:
        phases = phases[phases.index(last["phase"]) :]
    try:
        for phase in phases:
            yield from PhaseTraining(run, phase).reports(last if last and last["phase"] == phase else None)
    except StopRequested:
        yield {"event": "stopped"}
    else:
        yield _finish(run)


def _finish(run: RunState) -> Report:
    """Complete the results and write them, which marks the run as done. Returns the last report."""
    results, last = run.results, run.config.phases[-1]
    results["final_acc"], results["final_acc5"] = results[f"{last}_acc"], results[f"{last}_acc5"]
    if last == "finetune":
        results["finetune_gain"] = results["finetune_acc"] - results["baseline_acc"]
        moved, norm = _filter_change(run)
        results["filter_delta_l2"] = moved
        results["filter_delta_relative"] = moved / norm if norm else 0.0
    results |= run.workers.memory()
    results["seconds"] = run.seconds()
    report = {"event": "result", "results": results, "curves": run.curves}
    run.save_predictions()
    if run.workers.is_main:
        save_filters(run.folder, run.net)
        save_results(run.folder, run.config, run.identity, report)
    run.workers.barrier()
    return report


@torch.no_grad()
def _filter_change(run: RunState) -> tuple[float, float]:
    """L2 distance of the extractor from its state before fine-tuning, and the norm of that state."""
    moved = norm = 0.0
    before = anchor(run.config, run.workers.device)
    for p, p0 in zip(run.net.extractor_parameters(), before, strict=True):
        moved += (p - p0).double().square_().sum().item()
        norm += p0.double().square_().sum().item()
    return math.sqrt(moved), math.sqrt(norm)
