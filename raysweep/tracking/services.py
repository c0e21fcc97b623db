"""Sends measurements to MLflow and W&B: `--track mlflow`, `mlflow=URI`, `wandb` or `wandb=PROJECT`.

This uses Ray's own callbacks for the two services. Given to Tune, they would log one run for each of its trials, which
here do several runs one after the other. So `Service` calls them instead, once for each run: with the run's name, with
its fields as parameters, and with its experiment as W&B's group. A run that goes on after a stop is logged to the same
run of the service, whose id is kept in RESULTS/tracking/mlflow/RUN/ or RESULTS/tracking/wandb/RUN/.
"""

import importlib
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysweep.ledger import FAILED, FINISHED, Ledger, make_folder, open_to_group
from raysweep.messages import PlanError, nearest, one_line
from raysweep.planning import PlannedRun
from raysweep.ray_internals import Feature, lost, mlflow_runs, notice, without_restarts

PROJECT = "raysweep"
"""MLflow's experiment and W&B's project if neither --track nor the services' own environment variables name one."""

REACHED_WITHIN = 30.0
"""Seconds within which a server has to answer before a sweep starts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """A service that --track names."""

    kind: str
    where: str
    """MLflow's tracking URI or W&B's project; "" for what the service's environment variables say."""

    @property
    def label(self) -> str:
        """The service's name in messages."""
        return {"mlflow": "MLflow", "wandb": "W&B"}[self.kind]

    def open(self, ledger: Ledger) -> "Service":
        """Make the sink for this service. It needs an initialised Ray, and raises whatever the service raises."""
        if without := lost({"mlflow": Feature.MLFLOW_RUNS, "wandb": Feature.WANDB_LOGGER}[self.kind]):
            print(notice(without), flush=True)
        callback = {"mlflow": _mlflow_callback, "wandb": _wandb_callback}[self.kind](self.where)
        return Service(self.label, callback, ledger.folder / "tracking" / self.kind)


def reach(texts: Sequence[str]) -> list[Destination]:
    """The destinations that --track names, each of which has answered. Loads no Ray.

    Raises PlanError, with one line, if one is unknown, lacks its package or does not answer.
    """
    destinations = [_reachable_destination(text) for text in texts]
    for kind, number in Counter(destination.kind for destination in destinations).items():
        if number > 1:
            raise PlanError(f"--track names {kind} {number} times")
    return destinations


def _reachable_destination(text: str) -> Destination:
    """The destination that one argument of --track names, after it has answered."""
    kind, _, where = text.partition("=")
    if kind not in ("mlflow", "wandb"):
        raise PlanError(f"--track {text}: unknown service {kind!r}{nearest(kind, ['mlflow', 'wandb'])}")
    destination = Destination(kind=kind, where=where)
    try:
        package = importlib.import_module(kind)
    except ImportError:
        raise PlanError(f"--track {kind} needs the package {kind}: pip install '{PROJECT}[{kind}]'") from None
    check = {"mlflow": _check_mlflow, "wandb": _check_wandb}[kind]
    why = _failure_within(REACHED_WITHIN, lambda: check(package, where))
    if why:
        raise PlanError(f"--track: {destination.label} cannot be reached{where and f' at {where}'} ({why})")
    return destination


class Service:
    """A sink of `Tracking` that calls one of Ray's callbacks as Tune would, but with runs for trials."""

    def __init__(self, label: str, callback: Any, folder: Path) -> None:
        self.label = label
        self._callback, self._folder = callback, folder
        self._trials: dict[str, _Trial] = {}
        callback.setup()

    def start(self, run: PlannedRun, step: int, fields: Mapping[str, Any]) -> None:
        """Log the start of a run; with `step` above 0 it goes on in the same run of the service."""
        if step == 0 and run.name in self._trials:
            self.end(run, FAILED)
        trial = self._trials.setdefault(run.name, _Trial(run, fields, self._folder / run.name))
        if step == 0:
            trial.forget()
        trial.begin(self._callback)

    def metrics(self, run: PlannedRun, step: int, values: Mapping[str, float]) -> None:
        """Log the values that a run has measured at a step."""
        trial = self._trials[run.name]
        trial.begin(self._callback)
        self._callback.log_trial_result(step, trial, {**values, "training_iteration": step})

    def end(self, run: PlannedRun, status: str) -> None:
        """Log the end of a run with a status of its record; with "" nothing is logged, since it may go on."""
        if status:
            trial = self._trials.pop(run.name)
            trial.begin(self._callback)
            self._callback.log_trial_end(trial, failed=status != FINISHED)

    def close(self) -> None:
        """Log the end of runs that were cut off, and wait until everything has been sent."""
        while self._trials:
            _, trial = self._trials.popitem()
            if trial.begun:
                self._callback.log_trial_end(trial, failed=True)
        self._callback.on_experiment_end(trials=[])


class _Trial:
    """A run in the guise of a Tune trial, with the attributes that the callbacks read."""

    def __init__(self, run: PlannedRun, fields: Mapping[str, Any], folder: Path) -> None:
        self.config = dict(fields)
        self.experiment_dir_name = run.experiment.name
        self.local_path = str(folder)
        self.begun = False
        self._name, self._id = run.name, folder / "id"

    def __str__(self) -> str:
        return self._name

    @property
    def trial_id(self) -> str:
        """The service's id of the run, which is drawn anew if none has been written down."""
        if not self._id.exists():
            self.remember(secrets.token_hex(8))
        return self._id.read_text()

    def remember(self, id: str) -> None:
        """Write down the service's id of the run."""
        make_folder(self._id.parent)
        self._id.write_text(id)
        open_to_group(self._id, self._id.parent)

    def forget(self) -> None:
        """Forget the id, so that a new run of the service begins."""
        self._id.unlink(missing_ok=True)

    def begin(self, callback: Any) -> None:
        """Tell the callback that the run starts, unless it knows; a failed call is made again with the next values."""
        if self.begun:
            return
        ids = mlflow_runs(callback)  # only MLflow's callback has them, since MLflow draws the ids itself
        if ids is not None and self._id.exists():
            ids[self] = self._id.read_text()
        else:
            make_folder(Path(self.local_path))
            callback.log_trial_start(self)
            if ids is not None:
                self.remember(ids[self])
        self.begun = True


def _mlflow_callback(where: str) -> Any:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    return MLflowLoggerCallback(tracking_uri=where or None, experiment_name=name)


def _wandb_callback(where: str) -> Any:
    import ray
    from ray.air.integrations.wandb import WandbLoggerCallback
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    entity, _, project = where.rpartition("/")
    callback = WandbLoggerCallback(
        project=project or os.environ.get("WANDB_PROJECT") or os.environ.get("WANDB_PROJECT_NAME") or PROJECT,
        resume="allow",
        upload_timeout=20,
        **({"entity": entity} if entity else {}),
    )
    # The callback itself would make an actor with unlimited restarts, of which Ray warns that they are impossible.
    key = {name: value for name, value in os.environ.items() if name == "WANDB_API_KEY"}
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    without_restarts(callback, num_cpus=0, runtime_env={"env_vars": key}, scheduling_strategy=here)
    return callback


def _check_mlflow(mlflow: Any, where: str) -> None:
    """Raise if MLflow's server does not answer."""
    for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")):
        os.environ.setdefault(name, value)
    if where:
        mlflow.set_tracking_uri(where)
    mlflow.search_experiments(max_results=1)


def _check_wandb(wandb: Any, where: str) -> None:
    """Raise if there is no API key, or if W&B's server does not accept it."""
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return
    os.environ.setdefault("WANDB_SILENT", "true")
    wandb.ensure_configured()
    if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        raise PlanError("no API key: run `wandb login` or set WANDB_API_KEY")
    wandb.Api(timeout=10).viewer  # noqa: B018


def _failure_within(seconds: float, call: Callable[[], None]) -> str:
    """Why a call failed or did not return within some seconds; "" if it succeeded."""
    failures: list[str] = []

    def attempt() -> None:
        try:
            call()
        except Exception as error:
            failures.append(one_line(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    return f"no answer in {seconds:g} s" if thread.is_alive() else "".join(failures)
