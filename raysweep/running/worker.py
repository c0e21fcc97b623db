"""What each worker of a trial does, in a process of its own: run the trainable, report, record the results."""

import contextlib
import gc
import importlib
import os
import sys
import time
from typing import Any

import ray.train
import ray.train.collective
from ray.train import UserCallback

from raysweep.admission import enter_gate
from raysweep.ledger import FAILED, FINISHED, STOPPED, Ledger, Record
from raysweep.running.recording import ledger_of, record_end
from raysweep.running.rendezvous import process_group


def train_loop(loop: dict[str, Any]) -> None:
    """Run the trainable for each run of a trial, report what all workers see, record the results.

    With a gate, what can be done before the trial's turn is done before it.
    """
    spec, runs, ledger = loop["spec"], loop["runs"], ledger_of(loop["spec"])
    if spec["gate"]:
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(spec["per_worker"]["CPU"])))  # before torch is imported
    trainables = [importlib.import_module(run["record"]["trainable"]).train for run in runs]
    gc.freeze()  # libraries are not garbage: collecting goes past them
    first = runs[0]["record"]["run"]
    if spec["gate"] and not enter_gate(spec["gate"], lambda: ledger.is_asked_to_stop(first)):
        _report_end(first, STOPPED, "stopped before its turn", left=len(runs))
        return
    with _meeting(loop):
        for i, (run, train) in enumerate(zip(runs, trainables, strict=True)):
            stopped = _run(loop, run, train, ledger, left=len(runs) - 1 - i)
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


def _meeting(loop: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
    """The process group of the workers; on a cluster, Ray Train has set it up."""
    if not loop["rendezvous"]:
        return contextlib.nullcontext()
    context, on_gpus = ray.train.get_context(), "GPU" in loop["spec"]["per_worker"]
    return process_group(loop["rendezvous"], context.get_world_rank(), context.get_world_size(), on_gpus=on_gpus)


def _run(loop: dict[str, Any], run: dict[str, Any], train: Any, ledger: Ledger, *, left: int) -> bool:
    """One run. Whether it was stopped, `left` runs being still to come."""
    context = ray.train.get_context()
    main, first_here = context.get_world_rank() == 0, context.get_local_rank() == 0
    name, started = run["record"]["run"], time.time()
    report: Record = {}
    with ledger.at_work(name, context.get_world_rank(), first_here=first_here, meet=ray.train.collective.barrier):
        for report in train(run["config"]):
            if report["event"] in ("start", "epoch"):
                ray.train.report({**report, "run": name})
    if report["event"] == "stopped":
        _report_end(name, STOPPED, "stopped with a checkpoint", left=left + 1)
        return True
    ending = {"status": FINISHED, "kind": "", "error": None}
    ending |= {"results": report["results"], "curves": report["curves"]}
    said = record_end(loop["spec"], run["record"], ending, started, loop["restarts"]) if main else None
    seconds = report["results"].get("seconds", time.time() - started)
    report = ending = {}
    if not left:
        _let_go_of_memory()
    if said:
        _report_end(name, FAILED, said, left=left)
    else:
        _report_end(name, FINISHED, f"finished, {seconds:.0f} s of training", left=left)
    return False


def _report_end(run: str, status: str, text: str, *, left: int) -> None:
    """Say how a run has ended; `left` runs of this trial are still to come."""
    ray.train.report({"event": "ended", "run": run, "status": status, "text": text, "left": left})


def _let_go_of_memory() -> None:
    """Give back what training has used, since the next trial begins before this process has ended."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
