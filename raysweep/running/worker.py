"""The code of each worker of a trial: it runs the trainable in a process of its own, reports and records results."""

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ray.train
import ray.train.collective
from ray.train import UserCallback

from raysweep.admission import enter_gate
from raysweep.ledger import FAILED, FINISHED, STOPPED, Ledger
from raysweep.running.recording import ledger_of, record_result
from raysweep.running.rendezvous import process_group
from raysweep.running.spec import Attempt, WorkerSpec, end_report
from raysweep.trainable import Report, ResultReport
from raysweep.trainable_loader import HANDED_ON, load_trainable

Train = Callable[[Any], Iterator[Report]]


def train_loop(config: Mapping[str, WorkerSpec]) -> None:
    """Run the trainable for each run of a trial, report what all workers see, record the results.

    `config` holds the `WorkerSpec` as "spec". If the trial has a gate, all that can precede its turn is done
    while it waits.
    """
    spec = config["spec"]
    trial, ledger = spec.trial, ledger_of(spec.trial)
    if trial.gate:
        os.environ["OMP_NUM_THREADS"] = str(trial.threads)  # before torch is imported
    trainables = [load_trainable(attempt.run.experiment.trainable).train for attempt in spec.attempts]
    gc.freeze()  # the garbage collector need not search the libraries
    first = spec.attempts[0].run.name
    if trial.gate and not enter_gate(trial.gate, lambda: ledger.runs.is_asked_to_stop(first)):
        _report_end(first, STOPPED, "stopped before its turn", left=len(spec.attempts))
        return
    with _meeting(spec):
        left = len(spec.attempts)
        for attempt, train in zip(spec.attempts, trainables, strict=True):
            left -= 1
            stopped = _run(spec, attempt, train, ledger, left=left)
            if stopped:
                return


class ReportToTune(UserCallback):  # type: ignore[misc]
    """Hands the reports of the main worker to the Tune trial in whose process the controller runs.

    Workers get a copy that they do not use, so it is found here, where they look anyway.
    """

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """Called by the controller for each report of all workers."""
        from ray import tune

        tune.report(dict(metrics[0]))


def _meeting(spec: WorkerSpec) -> contextlib.AbstractContextManager[None]:
    """The process group of the workers; on a cluster, Ray Train has set it up."""
    if not spec.rendezvous:
        return contextlib.nullcontext()
    context, on_gpus = ray.train.get_context(), "GPU" in spec.trial.per_worker
    return process_group(spec.rendezvous, context.get_world_rank(), context.get_world_size(), on_gpus=on_gpus)


def _run(spec: WorkerSpec, attempt: Attempt, train: Train, ledger: Ledger, *, left: int) -> bool:
    """Train one run, after which `left` runs are still to come. Returns whether it was stopped."""
    context = ray.train.get_context()
    main, name, started = context.get_world_rank() == 0, attempt.run.name, time.time()
    traits = load_trainable(attempt.run.experiment.trainable).traits
    with ledger.runs.at_work(
        name,
        context.get_world_rank(),
        checkpoint=traits.checkpoints,
        first_here=context.get_local_rank() == 0,
        meet=ray.train.collective.barrier,
    ):
        report = _train(attempt, train)
    if report is None:
        _report_end(name, STOPPED, "stopped with a checkpoint", left=left + 1)
        return True
    said, beside = record_result(spec.trial, attempt, report, started, spec.restarts) if main else (None, "")
    if main and not said and not attempt.run.keep_last:
        with contextlib.suppress(OSError):  # `--tidy` can remove it later
            ledger.runs.tidy(name, traits.checkpoints, traits.kept)
    seconds = report["results"].get("seconds", time.time() - started)
    del report
    if not left:
        _let_go_of_memory()
    if said:
        _report_end(name, FAILED, said, left=left)
    else:
        _report_end(name, FINISHED, f"finished, {seconds:.0f} s of training{beside}", left=left)
    return False


def _train(attempt: Attempt, train: Train) -> ResultReport | None:
    """Pass on what a run reports. Returns its result, or None if it was stopped."""
    result = None
    for report in train(attempt.run.config):
        if report["event"] in HANDED_ON:
            ray.train.report({**report, "run": attempt.run.name})
        elif report["event"] == "result":
            result = report
    return result


def _report_end(run: str, status: str, text: str, *, left: int) -> None:
    """Report how a run has ended; `left` runs of this trial are still to come."""
    ray.train.report(dict(end_report(run, status, text, left=left)))


def _let_go_of_memory() -> None:
    """Free the memory that training has used, since the next trial begins before this process has ended."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
