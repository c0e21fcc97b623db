"""As much of W&B as Ray's callback uses, with a folder as the server: FAKE_SERVICE/log has a line for each call."""

import json
import os
import sys
import types
from pathlib import Path
from typing import Any


def _call(what: str, **content: Any) -> None:
    with (Path(os.environ["FAKE_SERVICE"]) / "log").open("a") as log:
        log.write(json.dumps({"call": what, "pid": os.getpid(), **content}, default=str) + "\n")


class _Config:
    def update(self, *args: Any, **kwargs: Any) -> None:
        pass


config = _Config()
api = types.SimpleNamespace(api_key=None)


def ensure_configured() -> None:
    pass


class Api:
    def __init__(self, timeout: int) -> None:
        pass

    @property
    def viewer(self) -> str:
        if os.environ["WANDB_API_KEY"] == "wrong":
            raise ValueError("Unable to fetch user data from W&B, please verify your API key is valid.")
        return "me"


def init(**kwargs: Any) -> Any:
    _call("init", **kwargs)
    return types.SimpleNamespace(config=config)


def log(values: dict[str, float], step: int) -> None:
    _call("log", values=values, step=step)


def finish() -> None:
    _call("finish")


class _Media:
    pass


for _name, _content in {
    "sdk": {},
    "sdk.data_types": {},
    "sdk.data_types.base_types": {},
    "sdk.data_types.base_types.wb_value": {"WBValue": _Media},
    "sdk.data_types.image": {"Image": _Media},
    "sdk.data_types.video": {"Video": _Media},
    "util": {"json_dumps_safer": json.dumps},
    "wandb_run": {"Run": object},
}.items():
    _module = types.ModuleType(f"wandb.{_name}")
    _module.__dict__.update(_content)
    sys.modules[f"wandb.{_name}"] = _module
