"""The code of each worker of a trial: it runs the trainable in a process of its own, reports and records results."""

import contextlib
import gc
import os
from collections.abc import Mapping
from typing import Any

import ray.train
from ray.train import UserCallback

from raysweep.admission import enter_gate
from raysweep.ledger import STOPPED
from raysweep.running.recording import ledger_of
from raysweep.running.rendezvous import process_group
from raysweep.running.spec import WorkerSpec
from raysweep.running.training import in_groups, report_end


def train_loop(config: Mapping[str, WorkerSpec]) -> None:
    """Run the trainable for each run of a trial, report what all workers see, record the results.

    `config` holds the `WorkerSpec` as "spec". If the trial has a gate, all that can precede its turn is done
    while it waits.
    """
    spec = config["spec"]
    trial, ledger = spec.trial, ledger_of(spec.trial)
    if trial.gate:
        os.environ["OMP_NUM_THREADS"] = str(trial.threads)  # before torch is imported
    groups = in_groups(spec)
    for group in groups:
        group.prepare()
    gc.freeze()  # the garbage collector need not search the libraries
    first = spec.attempts[0].run.name
    if trial.gate and not enter_gate(trial.gate, lambda: ledger.runs.is_asked_to_stop(first)):
        report_end(first, STOPPED, "stopped before its turn", left=len(spec.attempts))
        return
    with _meeting(spec):
        left = len(spec.attempts)
        for group in groups:
            left -= len(group.attempts)
            if group.train(ledger, left=left):
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
