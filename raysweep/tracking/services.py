"""MLflow and W&B, by Ray's own callbacks for them: `--track mlflow`, `mlflow=URI`, `wandb`, `wandb=PROJECT`.

Tune would show them its trials, which here are series of runs. They are shown the runs instead: by name, with their
fields as parameters, the experiment as W&B's group. A run that goes on does so in the same run of theirs, whose id
is in RESULTS/tracking/mlflow/RUN/ or RESULTS/tracking/wandb/RUN/.
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

from raysweep.ledger import FAILED, FINISHED, Ledger
from raysweep.messages import PlanError, nearest, one_line
from raysweep.planning import PlannedRun
from raysweep.ray_internals import Feature, lost, mlflow_runs, notice, without_restarts

PROJECT = "raysweep"
"""MLflow's experiment and W&B's project, where neither --track nor their own environment variables name one."""

REACHED_WITHIN = 30.0
"""Seconds that a server has to answer before a sweep starts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """What --track names."""

    kind: str
    where: str
    """MLflow's tracking URI or W&B's project; "": what their environment variables say."""

    @property
    def label(self) -> str:
        """As it is called."""
        return {"mlflow": "MLflow", "wandb": "W&B"}[self.kind]

    def open(self, ledger: Ledger) -> "Service":
        """The sink. Needs an initialised Ray. Raises whatever the service does."""
        if without := lost({"mlflow": Feature.MLFLOW_RUNS, "wandb": Feature.WANDB_LOGGER}[self.kind]):
            print(notice(without), flush=True)
        callback = {"mlflow": _mlflow_callback, "wandb": _wandb_callback}[self.kind](self.where)
        return Service(self.label, callback, ledger.folder / "tracking" / self.kind)


def reach(texts: Sequence[str]) -> list[Destination]:
    """The destinations of --track. Loads no Ray. Raises PlanError, in one line, where one cannot be used."""
    destinations = [_reach(text) for text in texts]
    for kind, number in Counter(destination.kind for destination in destinations).items():
        if number > 1:
            raise PlanError(f"--track names {kind} {number} times")
    return destinations


def _reach(text: str) -> Destination:
    kind, _, where = text.partition("=")
    if kind not in ("mlflow", "wandb"):
        raise PlanError(f"--track {text}: unknown service {kind!r}{nearest(kind, ['mlflow', 'wandb'])}")
    destination = Destination(kind=kind, where=where)
    try:
        package = importlib.import_module(kind)
    except ImportError:
        raise PlanError(f"--track {kind} needs the package {kind}: pip install '{PROJECT}[{kind}]'") from None
    knock = {"mlflow": _reach_mlflow, "wandb": _reach_wandb}[kind]
    why = _within(REACHED_WITHIN, lambda: knock(package, where))
    if why:
        raise PlanError(f"--track: {destination.label} cannot be reached{where and f' at {where}'} ({why})")
    return destination


class Service:
    """A sink of `Tracking` that speaks to a callback as Tune would."""

    def __init__(self, label: str, callback: Any, folder: Path) -> None:
        self.label = label
        self._callback, self._folder = callback, folder
        self._trials: dict[str, _Trial] = {}
        callback.setup()

    def start(self, run: PlannedRun, step: int, fields: Mapping[str, Any]) -> None:
        """A run begins, or goes on after a step."""
        if step == 0 and run.name in self._trials:
            self.end(run, FAILED)
        trial = self._trials.setdefault(run.name, _Trial(run, fields, self._folder / run.name))
        if step == 0:
            trial.forget()
        trial.begin(self._callback)

    def metrics(self, run: PlannedRun, step: int, values: Mapping[str, float]) -> None:
        """Measurements at a step."""
        trial = self._trials[run.name]
        trial.begin(self._callback)
        self._callback.log_trial_result(step, trial, {**values, "training_iteration": step})

    def end(self, run: PlannedRun, status: str) -> None:
        """A run has ended with a status of its record; with "" it may go on."""
        if status:
            trial = self._trials.pop(run.name)
            trial.begin(self._callback)
            self._callback.log_trial_end(trial, failed=status != FINISHED)

    def close(self) -> None:
        """End what was cut off, and wait for what is under way."""
        while self._trials:
            _, trial = self._trials.popitem()
            if trial.begun:
                self._callback.log_trial_end(trial, failed=True)
        self._callback.on_experiment_end(trials=[])


class _Trial:
    """A run, as the callbacks read a trial."""

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
        """What the service knows the run by: a new one at its beginning."""
        if not self._id.exists():
            self.remember(secrets.token_hex(8))
        return self._id.read_text()

    def remember(self, id: str) -> None:
        """Write down what the service knows the run by."""
        self._id.parent.mkdir(parents=True, exist_ok=True)
        self._id.write_text(id)

    def forget(self) -> None:
        """Let it be a new run of the service."""
        self._id.unlink(missing_ok=True)

    def begin(self, callback: Any) -> None:
        """Let the callback know of it, once; also after a server that could not be reached is back."""
        if self.begun:
            return
        ids = mlflow_runs(callback)  # MLflow chooses them itself
        if ids is not None and self._id.exists():
            ids[self] = self._id.read_text()
        else:
            Path(self.local_path).mkdir(parents=True, exist_ok=True)
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
    # Ray's own is to be restarted without end, which it warns that it cannot do.
    key = {name: value for name, value in os.environ.items() if name == "WANDB_API_KEY"}
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    without_restarts(callback, num_cpus=0, runtime_env={"env_vars": key}, scheduling_strategy=here)
    return callback


def _reach_mlflow(mlflow: Any, where: str) -> None:
    for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")):
        os.environ.setdefault(name, value)
    if where:
        mlflow.set_tracking_uri(where)
    mlflow.search_experiments(max_results=1)


def _reach_wandb(wandb: Any, where: str) -> None:
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return
    os.environ.setdefault("WANDB_SILENT", "true")
    wandb.ensure_configured()
    if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        raise PlanError("no API key: run `wandb login` or set WANDB_API_KEY")
    wandb.Api(timeout=10).viewer  # noqa: B018


def _within(seconds: float, call: Callable[[], None]) -> str:
    """Why a call failed or did not return in time; "" where it did."""
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
