"""Private constants, fields and arguments of Ray's that are used as they are; each stands behind a function."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any
from unittest import mock

from raysweep.ray_internals.check import lost
from raysweep.ray_internals.names import Feature

NEXT_TO_NOTHING = 0.001
"""A part of a resource that is asked for where Ray insists that something be asked for."""

ENVIRONMENT = {
    # How many processes may start at the same time. A trial has about 10 of 0 CPU, of which Ray would warn.
    "RAY_worker_maximum_startup_concurrency": "16",
    # How many processes start with the cluster. Ray would start one for each CPU, which trials do not take.
    "RAY_prestart_worker_first_driver": "0",
    # Seconds between two looks of a Train run's controller at its workers, which short trials wait for at their end.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # Whether each Train run has an actor that watches for nodes that are about to be taken away.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Environment variables that Ray reads, before it is imported, and does not document."""

NEEDED = {
    # Whether GPUs are hidden from processes that asked for none, until a gate names those of the trial.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
"""Such variables without which trials would train on GPUs of others."""

SOCKETS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""The environment variable that holds Ray's sockets to the loopback interface at "0". Documented is "1" alone."""


def on_loopback() -> dict[str, Any]:
    """Arguments for `ray.init` that have the node listen on the loopback interface."""
    return {} if lost(Feature.LOOPBACK) else {"_node_ip_address": "127.0.0.1"}


@contextlib.contextmanager
def out_of_reach_of_signals() -> Iterator[None]:
    """Within this context, `ray.init` starts each process of the cluster in a session of its own.

    So a signal that a terminal, `timeout` or a scheduler sends to all processes of a group reaches the driver alone.
    And it sets no handler of SIGTERM in this process.
    """
    if lost(Feature.SIGNALS):
        yield
        return
    from ray._private import services, utils

    in_session = functools.partial(services.ConsolePopen, start_new_session=True)
    with (
        mock.patch.object(services, "ConsolePopen", in_session),
        mock.patch.object(utils, "set_sigterm_handler"),
    ):
        yield


def next_to_nothing() -> dict[str, float]:
    """What a trial asks for that needs no resource of Ray's, since Tune wants it to ask for something."""
    if lost(Feature.NOTHING_ASKED):
        return {"CPU": NEXT_TO_NOTHING}
    from ray._common.constants import HEAD_NODE_RESOURCE_NAME

    return {HEAD_NODE_RESOURCE_NAME: NEXT_TO_NOTHING}


def hand_on(variable: str) -> None:
    """Let what Ray Train starts from this process have an environment variable of this process."""
    from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE

    ENV_VARS_TO_PROPAGATE.add(variable)


def without_restarts(callback: Any, **options: Any) -> None:
    """Let a callback for W&B start its loggers with these options of an actor, instead of endless restarts."""
    if not lost(Feature.WANDB_LOGGER):
        import ray

        callback._remote_logger_class = ray.remote(**options)(callback._logger_actor_cls)


def mlflow_runs(callback: Any) -> dict[Any, str] | None:
    """The ids that MLflow has given to trials, to read and to set; None of a callback for another service."""
    runs: dict[Any, str] | None = getattr(callback, "_trial_runs", None)
    return runs
