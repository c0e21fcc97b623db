"""Runs a plan on Ray: each run is a Tune trial that holds its slots and drives a Ray Train worker group of its own.

A trial may hold several seeds of an experiment, which then run one after the other in the same processes. Each result
is recorded by the main worker as soon as it is there; Ray's own state is never read back. What survives a crash is the
ledger and the trainables' checkpoints, so resuming is launching what is left to do.
"""

import datetime
import importlib
import os
import platform
import socket
import subprocess
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
from raysweep.ledger import DIVERGED, FAILED, FINISHED, Ledger, LedgerError, Record
from raysweep.plan import Run
from raysweep.progress import Progress

HEAD_NODE = "node:__internal_head__"
"""What Ray gives every head node; a trial must ask for something, and without slots asks for a trace of this."""

SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""In the names of environment variables whose values must not reach a record."""
SHORTEST_SECRET = 4

MAX_RESTARTS = 10
"""Times that a run goes on from its checkpoint after a lost worker, node or process before it counts as failed."""


def launch(
    runs: Sequence[Run],
    ledger: Ledger,
    resources: Resources,
    *,
    gpus_per_worker: float | None = None,
    max_concurrent: int | None = None,
) -> None:
    """Run all `runs` in order, as many at a time as there are slots, and record each. Needs an initialised Ray.

    Raises ConnectionError where the cluster is lost meanwhile.
    """
    by_name = {run.name: run for run in runs}
    revision = git_revision()
    specs = [
        {
            "runs": [{"record": run.record(), "config": run.config} for run in series],
            "per_worker": resources.per_worker(series[0], gpus_per_worker),
            "slots": resources.slots_of(series[0], gpus_per_worker),
            "results": str(ledger.folder),
            "trial": f"{series[0].name}-{time.time():.0f}",
            "revision": revision,
        }
        for series in _series(runs)
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
            trial_name_creator=lambda trial: _first(trial)["run"],
            trial_dirname_creator=lambda trial: _first(trial)["run"],
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


def _series(runs: Sequence[Run]) -> list[list[Run]]:
    """Neighbouring runs of one experiment in parts of at most `runs_per_trial`."""
    series: list[list[Run]] = []
    for run in runs:
        last = series[-1] if series else []
        if last and last[0].experiment == run.experiment and len(last) < run.experiment.runs_per_trial:
            last.append(run)
        else:
            series.append([run])
    return series


def _first(trial: Any) -> Record:
    """What the record of a trial's first run says beforehand."""
    record: Record = trial.config["spec"]["runs"][0]["record"]
    return record


class _Watch(tune.Callback):  # type: ignore[misc]
    """Hands the reports that reach Tune to the progress view, and records trials that could not record themselves."""

    def __init__(self, runs: dict[str, Run], progress: Progress, ledger: Ledger) -> None:
        self._runs, self._progress, self._ledger = runs, progress, ledger

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Record, **info: Any) -> None:
        run = self._runs[result["run"]]
        if result.get("event") == "ended":
            self._progress.line(run, result["text"])
        else:
            self._progress.report(run, result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = self._runs[_first(trial)["run"]]
        self._progress.line(run, "lost its process; goes on from what its runs have left")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        cause = f"its process was lost {MAX_RESTARTS + 1} times"
        for run in _unrecorded(trial.config["spec"]):
            self._progress.line(self._runs[run["record"]["run"]], f"failed: {cause}")
            ending = {"status": FAILED, "error": cause, "results": {}, "curves": {}, "provenance": {}}
            times = {"restarts": MAX_RESTARTS, "finished": _utc(time.time())}
            attempt = self._ledger.begin(run["record"]["run"])
            self._ledger.write({**run["record"], **ending, **times, "attempt": attempt})


def _unrecorded(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a trial that have neither finished nor failed in this trial."""
    ledger = Ledger(spec["results"])

    def ended(record: Record | None) -> bool:
        return record is not None and (record["status"] == FINISHED or record.get("trial") == spec["trial"])

    return [run for run in spec["runs"] if not ended(ledger.record(run["record"]["run"]))]


def _trial(config: dict[str, Any]) -> None:
    """Body of a Tune trial: a Train run over its runs, restarted where that is not its own fault.

    A run that fails by itself is recorded as failed, and the trial goes on with the next one.
    """
    spec, started, restarts = config["spec"], time.time(), 0
    ledger = Ledger(spec["results"])
    while runs := _unrecorded(spec):
        for run in runs:
            run["record"]["attempt"] = ledger.begin(run["record"]["run"])
        try:
            _train_run(spec, runs, restarts)
        except ray.train.TrainingFailedError as error:
            failed = next(iter(_unrecorded(spec)), None)
            if failed is None:
                return
            name = failed["record"]["run"]
            cause, status = _cause(error)
            if not status and restarts < MAX_RESTARTS:
                text = f"interrupted: {cause}; goes on from its last checkpoint"
                tune.report({"event": "ended", "run": name, "text": text})
                restarts += 1
                continue
            ending: Record = {"status": status or FAILED, "error": cause, "results": {}, "curves": {}}
            said = _record(spec, failed["record"], ending, started, restarts)
            tune.report({"event": "ended", "run": name, "text": said or f"{ending['status']}: {cause}"})
            if said:
                return
        else:
            return


def _record(spec: dict[str, Any], planned: Record, ending: Record, started: float, restarts: int) -> str | None:
    """Write how a run ended. Returns what to say where that is impossible."""
    times = {"restarts": restarts, "started": _utc(started), "finished": _utc(time.time())}
    record = {**planned, **ending, **times, "trial": spec["trial"], "provenance": _provenance(spec["revision"])}
    try:
        Ledger(spec["results"]).write(record)
    except (OSError, LedgerError) as error:
        return f"{ending['status']}; but its record could not be written ({error}), so it is unfinished"
    return None


def git_revision() -> str | None:
    """The git revision of this code, with a + where it was changed since; None outside of a repository."""
    folder = str(Path(__file__).parent)
    command = ["git", "-C", folder, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _provenance(revision: str | None) -> dict[str, str | None]:
    """What computed the numbers: code, machine, versions."""
    versions = {f"{package}_version": version(package) for package in ("torch", "torchvision", "ray", "numpy")}
    host = {
        "hostname": socket.gethostname(),
        "machine": platform.machine(),
        "python_version": platform.python_version(),
    }
    return {"revision": revision, **host, **versions}


def _train_run(spec: dict[str, Any], runs: list[dict[str, Any]], attempt: int) -> None:
    """One Ray Train run over the given runs of a trial."""
    first = runs[0]["record"]
    trainer = TorchTrainer(
        _train_loop,
        train_loop_config={"spec": spec, "runs": runs, "restarts": attempt},
        scaling_config=ScalingConfig(
            num_workers=first["num_workers"],
            use_gpu="GPU" in spec["per_worker"],
            resources_per_worker=spec["per_worker"],
        ),
        run_config=RunConfig(
            name=f"{first['run']}-{datetime.datetime.now():%H%M%S}-{os.getpid()}-{attempt}",
            storage_path=str(Path(spec["results"]) / "ray" / "train"),
            failure_config=FailureConfig(max_failures=0),
            callbacks=[TuneReportCallback()],
        ),
    )
    trainer.fit()


def _train_loop(loop: dict[str, Any]) -> None:
    """What each worker does: run the trainable for each run, report what all workers see, record the results."""
    main = ray.train.get_context().get_world_rank() == 0
    for run in loop["runs"]:
        name, started = run["record"]["run"], time.time()
        report: Record = {}
        for report in importlib.import_module(run["record"]["trainable"]).train(run["config"]):
            if report["event"] in ("start", "epoch"):
                ray.train.report({**report, "run": name})
        ending = {"status": FINISHED, "error": None, "results": report["results"], "curves": report["curves"]}
        said = _record(loop["spec"], run["record"], ending, started, loop["restarts"]) if main else None
        seconds = report["results"].get("seconds", time.time() - started)
        text = said or f"finished, {seconds:.0f} s of training"
        ray.train.report({"event": "ended", "run": name, "text": text})


def _cause(error: ray.train.TrainingFailedError) -> tuple[str, str]:
    """What went wrong in a line, and how the run has ended; "" where not the run is at fault but a machine."""
    failures = list(getattr(error, "worker_failures", {}).values())
    # A lost worker or node arrives as one of Ray's errors, anything else was raised by the trainable.
    lost = [failure for failure in failures if type(failure).__module__.startswith("ray.")]
    own = [failure for failure in failures if failure not in lost]
    # Where a worker is lost, the others fail for want of it; and a loading process may be killed for its memory.
    of_want = ("onnection", "NCCL", "gloo", "Gloo", "peer", "DataLoader worker")
    own = [f for f in own if not (isinstance(f, RuntimeError) and any(word in str(f) for word in of_want))]
    if own and not lost:
        return _one_line(own[0]), DIVERGED if isinstance(own[0], FloatingPointError) else FAILED
    return f"a worker was lost ({_one_line((lost or failures or [error])[0])})", ""


def _one_line(error: BaseException) -> str:
    """The message of an exception; with its type where that is a built-in one, whose message alone says little."""
    text = without_secrets((str(error).strip() or type(error).__name__).splitlines()[0])
    return f"{type(error).__name__}: {text}" if type(error).__module__ == "builtins" else text


def without_secrets(text: str) -> str:
    """The text without the values of environment variables whose names say that they are secret."""
    for name, value in os.environ.items():
        if len(value) >= SHORTEST_SECRET and any(word in name.upper() for word in SECRET):
            text = text.replace(value, "***")
    return text


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
