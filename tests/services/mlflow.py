"""As much of MLflow as Ray's callback uses, with a folder as the server: FAKE_SERVICE/log has a line for each call.

Where FAKE_SERVICE/down exists, calls fail.
"""

import itertools
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

__version__ = "3.17.2"


class MlflowException(Exception):  # noqa: N818
    pass


def _call(what: str, **content: Any) -> None:
    server = Path(os.environ["FAKE_SERVICE"])
    if (server / "down").exists():
        raise MlflowException("connection refused\nand a long explanation")
    with (server / "log").open("a") as log:
        log.write(json.dumps({"call": what, **content}) + "\n")


_ids = itertools.count(1)


class MlflowClient:
    def __init__(self, **uris: Any) -> None:
        pass

    def create_run(self, run_name: str, experiment_id: str, tags: dict[str, str]) -> Any:
        _call("create_run", name=run_name, experiment=experiment_id)
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=f"id-{os.getpid()}-{next(_ids)}"))

    def log_param(self, run_id: str, key: str, value: Any) -> None:
        _call("log_param", id=run_id, key=key, value=str(value))

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        _call("log_metric", id=run_id, key=key, value=value, step=step)

    def set_terminated(self, run_id: str, status: str) -> None:
        _call("set_terminated", id=run_id, status=status)


def set_tracking_uri(uri: str | None) -> None:
    if uri and not uri.startswith("http"):
        raise MlflowException(f"{uri} is no address of a server")


def set_registry_uri(uri: str | None) -> None:
    pass


def get_tracking_uri() -> str:
    return "http://fake"


get_registry_uri = get_tracking_uri


def search_experiments(max_results: int) -> list[Any]:
    _call("search_experiments")
    return []


def get_experiment_by_name(name: str) -> Any:
    _call("get_experiment")


def create_experiment(name: str, artifact_location: str | None) -> str:
    return name


def get_run(run_id: str) -> None:
    _call("get_run", id=run_id)


def active_run() -> None:
    return None


def log_metric(**content: Any) -> None:
    _call("log_metric_of_active_run", **content)


log_param = log_metric

for _name, _content in {
    "tracking": {"MlflowClient": MlflowClient},
    "exceptions": {"MlflowException": MlflowException},
    "utils": {},
    "utils.mlflow_tags": {"MLFLOW_RUN_NAME": "mlflow.runName"},
}.items():
    _module = types.ModuleType(f"mlflow.{_name}")
    _module.__dict__.update(_content)
    sys.modules[f"mlflow.{_name}"] = _module
