"""Runs a plan on Ray: each run is a Tune trial that holds its slots and drives a Ray Train worker group of its own.

A trial's result is recorded by the ledger as soon as its workers have finished; Ray's own state is never read back.
What survives a crash is the ledger and the trainables' checkpoints, so resuming is launching what is left to do.
"""

import datetime
import importlib
import os
import platform
import socket
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
import ray.train.torch
from ray import tune
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep.cluster import SLOT, Resources
from raysweep.ledger import FAILED, FINISHED, Ledger, Record
from raysweep.plan import Run
from raysweep.progress import Progress

HEAD_NODE = "node:__internal_head__"
"""What Ray gives every head node; a trial must ask for something, and without slots asks for a trace of this."""

MAX_RESTARTS = 10
"""Times that a run goes on from its checkpoint after a lost worker, node or process before it counts as failed."""


def launch(
    runs: Sequence[Run],
    ledger: Ledger,
    resources: Resources,
    *,
    gpus_per_worker: float | None = None,
    revision: str | None = None,
    max_concurrent: int | None = None,
) -> None:
    """Run all `runs` in order, as many at a time as there are slots, and record each. Needs an initialised Ray.

    Raises ConnectionError where the cluster is lost meanwhile.
    """
    by_name = {run.name: run for run in runs}
    specs = [
        {
            "record": run.record(),
            "config": run.config,
            "per_worker": resources.per_worker(gpus_per_worker),
            "slots": resources.slots_of(run, gpus_per_worker),
            "results": str(ledger.folder),
            "revision": revision,
        }
        for run in runs
    ]
    progress = Progress()
    has_slots = max_concurrent is None
    trial = tune.with_resources(
        _trial,
        lambda config: tune.PlacementGroupFactory(
            [{"CPU": 0, **({SLOT: config["spec"]["slots"]} if has_slots else {HEAD_NODE: 0.001})}]
        ),
    )
    tuner = tune.Tuner(
        trial,
        param_space={"spec": tune.grid_search(specs)},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=max_concurrent,
            trial_name_creator=lambda trial: trial.config["spec"]["record"]["run"],
            trial_dirname_creator=lambda trial: trial.config["spec"]["record"]["run"],
        ),
        run_config=tune.RunConfig(
            name=f"sweep-{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}",
            storage_path=str(ledger.folder / "ray"),
            failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
            callbacks=[_Watch(by_name, progress, ledger)],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except (ray.exceptions.RayError, tune.TuneError) as error:
        raise ConnectionError(f"the Ray cluster was lost ({_one_line(error)}); the same command goes on") from None


class _Watch(tune.Callback):  # type: ignore[misc]
    """Hands the reports that reach Tune to the progress view, and records trials that could not record themselves."""

    def __init__(self, runs: dict[str, Run], progress: Progress, ledger: Ledger) -> None:
        self._runs, self._progress, self._ledger = runs, progress, ledger

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Record, **info: Any) -> None:
        run = self._runs[trial.config["spec"]["record"]["run"]]
        if result.get("event") == "ended":
            self._progress.line(run, result["text"])
        else:
            self._progress.report(run, result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = self._runs[trial.config["spec"]["record"]["run"]]
        self._progress.line(run, "lost its process; starts again from its last checkpoint")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = self._runs[trial.config["spec"]["record"]["run"]]
        cause = f"its process was lost {MAX_RESTARTS + 1} times"
        self._progress.line(run, f"failed: {cause}")
        ending = {"status": FAILED, "error": cause, "results": {}, "curves": {}, "provenance": {}}
        self._ledger.write({**run.record(), **ending, "restarts": MAX_RESTARTS, "finished": _utc(time.time())})


def _trial(config: dict[str, Any]) -> None:
    """Body of a Tune trial: a Train run, restarted where it is not its own fault, and its record."""
    spec, started, restarts = config["spec"], time.time(), 0
    while True:
        try:
            outcome = _train_run(spec, restarts)
        except ray.train.TrainingFailedError as error:
            cause, own_fault = _cause(error)
            if not own_fault and restarts < MAX_RESTARTS:
                tune.report({"event": "ended", "text": f"interrupted: {cause}; goes on from its last checkpoint"})
                restarts += 1
                continue
            ending: Record = {"status": FAILED, "error": cause, "results": {}, "curves": {}}
            said = f"failed: {cause}"
        else:
            results = outcome["results"]
            ending = {"status": FINISHED, "error": None, "results": results, "curves": outcome["curves"]}
            said = f"finished, {results.get('seconds', time.time() - started):.0f} s of training"
        break
    times = {"restarts": restarts, "started": _utc(started), "finished": _utc(time.time())}
    record = {**spec["record"], **ending, **times, "provenance": _provenance(spec["revision"])}
    try:
        Ledger(spec["results"]).write(record)
    except OSError as error:
        said += f"; but its record could not be written ({error}), so it is unfinished"
    tune.report({"event": "ended", "text": said})


def _provenance(revision: str | None) -> dict[str, str | None]:
    """What computed the numbers: code, machine, versions."""
    versions = {f"{package}_version": version(package) for package in ("torch", "torchvision", "ray", "numpy")}
    host = {
        "hostname": socket.gethostname(),
        "machine": platform.machine(),
        "python_version": platform.python_version(),
    }
    return {"revision": revision, **host, **versions}


def _train_run(spec: dict[str, Any], attempt: int) -> Record:
    """One Ray Train run; what the trainable's `result` report holds."""
    run = spec["record"]["run"]
    trainer = TorchTrainer(
        _train_loop,
        train_loop_config={"trainable": spec["record"]["trainable"], "config": spec["config"]},
        scaling_config=ScalingConfig(
            num_workers=spec["record"]["num_workers"],
            use_gpu="GPU" in spec["per_worker"],
            resources_per_worker=spec["per_worker"],
        ),
        run_config=RunConfig(
            name=f"{run}-{datetime.datetime.now():%H%M%S}-{os.getpid()}-{attempt}",
            storage_path=str(Path(spec["results"]) / "ray" / "train"),
            failure_config=FailureConfig(max_failures=0),
            callbacks=[TuneReportCallback()],
        ),
    )
    outcome: Record = trainer.fit().return_value
    return outcome


def _train_loop(loop: dict[str, Any]) -> Record | None:
    """What each worker does: run the trainable and report to Ray what all workers see."""
    report: Record = {}
    for report in importlib.import_module(loop["trainable"]).train(loop["config"]):
        if report["event"] in ("start", "epoch"):
            ray.train.report(report)
    return report if ray.train.get_context().get_world_rank() == 0 else None


def _cause(error: ray.train.TrainingFailedError) -> tuple[str, bool]:
    """What went wrong in a line, and whether the run itself is at fault rather than a machine."""
    failures = list(getattr(error, "worker_failures", {}).values())
    # A lost worker or node arrives as one of Ray's errors, anything else was raised by the trainable.
    lost = [failure for failure in failures if type(failure).__module__.startswith("ray.")]
    own = [failure for failure in failures if failure not in lost]
    # Where a worker is lost, the others fail for want of it; and a loading process may be killed for its memory.
    of_want = ("onnection", "NCCL", "gloo", "Gloo", "peer", "DataLoader worker")
    own = [f for f in own if not (isinstance(f, RuntimeError) and any(word in str(f) for word in of_want))]
    if own and not lost:
        return _one_line(own[0]), True
    return f"a worker was lost ({_one_line((lost or failures or [error])[0])})", False


def _one_line(error: BaseException) -> str:
    """The message of an exception; with its type where that is a built-in one, whose message alone says little."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {text}" if type(error).__module__ == "builtins" else text


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
