"""The Ray cluster of a sweep: one of its own on this machine, or a running one.

Admission counts slots: as many as the cluster has GPUs (or CPUs, without GPUs). A trial takes one for each worker, so
its workers always find room and trials of any width cannot deadlock. On a running cluster, which others may use too,
slots are also a resource of Ray's, given to its head node when it was started.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from raysweep.messages import PlanError, reason_of
from raysweep.modules import starting_in_root
from raysweep.planning import PlannedRun, Resources
from raysweep.ray_internals import (
    ENVIRONMENT,
    NEEDED,
    SOCKETS,
    Feature,
    lost,
    notice,
    on_loopback,
    out_of_reach_of_signals,
)
from raysweep.running import supervisor
from raysweep.running.health import RayLostError
from raysweep.running.interrupts import handlers_kept
from raysweep.running.placement import SLOT
from raysweep.running.token import prepare_token, token_file

_NEEDED = {
    **NEEDED,
    # The implementation of Ray Train that the trials are written for.
    "RAY_TRAIN_V2_ENABLED": "1",
    # Ctrl-C reaches run_sweep.py.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Ray's own tables would be printed into that of `view`.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Paths such as that of --results may be relative to the current folder.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""Variables that are set to these values whatever the user has set, since a sweep does not work without them."""

_USUAL = {
    **ENVIRONMENT,
    # All of Ray's sockets on loopback.
    SOCKETS: "0",
    # One trial waits for its resources at a time, which makes admission follow the order of the plan.
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    # Results are recorded by the ledger, progress is shown by `view`.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune would write its own state again and again, which nobody reads.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Fills the Train tab of the dashboard.
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Variables that are set to these values where the user has set none."""

SHUTDOWN_TIMEOUT = 4.0
"""Seconds that Ray has to shut down. What it has not ended by then, the supervisor ends."""

_ray_was_left = threading.Event()
"""Is set once this process has given up a Ray that does not answer, with threads that wait for it."""


def end_process(code: int | str | None) -> NoReturn:
    """End this process; at once where threads may wait for ever for a Ray that was lost."""
    if _ray_was_left.is_set():
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(bool(code)))
    sys.exit(code)


def prepare_environment() -> None:
    """Set the variables that Ray reads when it is imported."""
    os.environ.update(_NEEDED)
    for name, value in _USUAL.items():
        os.environ.setdefault(name, value)
    try:
        Path.home()
    except RuntimeError:  # Ray asks for the home of every user when it is imported
        os.environ["HOME"] = "/"


@contextlib.contextmanager
def own_cluster(resources: Resources) -> Iterator[str]:
    """Start Ray on this machine, bound to loopback, and end it afterwards. Yields the dashboard's address.

    Raises PlanError if it does not start. A Ray that was lost is left to the supervisor.
    """
    prepare_own_environment()
    import ray

    if without := lost(Feature.LOOPBACK, Feature.SIGNALS):
        print(notice(without), flush=True)
    with contextlib.ExitStack() as stack:
        stack.callback(supervisor.watch().communicate)
        try:
            with starting_in_root(), handlers_kept(), out_of_reach_of_signals():
                context = ray.init(
                    address="local",
                    num_cpus=resources.cpus,
                    num_gpus=resources.gpus,
                    include_dashboard=True,
                    dashboard_host="127.0.0.1",
                    **on_loopback(),
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except (OSError, RuntimeError, ValueError) as error:
            raise PlanError(f"Ray does not start on this machine ({reason_of(error)})") from None
        with _shut_down():
            yield context.dashboard_url or ""


@contextlib.contextmanager
def _shut_down() -> Iterator[None]:
    """Shut Ray down after this context, unless it was lost: then its threads in this process may wait for ever."""
    import ray

    was_lost = False
    try:
        yield
    except RayLostError:
        was_lost = True
        _ray_was_left.set()
        raise
    finally:
        if not was_lost:
            shutdown = threading.Thread(target=ray.shutdown, daemon=True, name="shutdown of Ray")
            shutdown.start()
            try:
                shutdown.join(SHUTDOWN_TIMEOUT)
            finally:
                if shutdown.is_alive():
                    _ray_was_left.set()


def prepare_own_environment() -> None:
    """Set the variables of a cluster of our own, which requires a token. Call it before Ray is imported."""
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "8")  # gates see to the order
    prepare_environment()
    os.environ[SOCKETS] = _USUAL[SOCKETS]
    os.environ["RAY_AUTH_MODE"] = "token"
    prepare_token()


@contextlib.contextmanager
def running_cluster(address: str, *, use_gpus: bool = True) -> Iterator[Resources]:
    """Connect to a running cluster. Yields its resources. Raises PlanError if there is none."""
    os.environ.setdefault(SOCKETS, "1")
    if (file := token_file()) and file.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray does so itself for the address "auto" alone
    prepare_environment()
    _require_reachable(address)
    import ray

    try:
        with handlers_kept(), out_of_reach_of_signals():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise PlanError(f"no Ray cluster at {address} ({reason_of(error)})") from None
    with _shut_down():
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes) if use_gpus else 0
        # Beside each GPU, the CPUs that the poorest node has for it: a worker's share must fit everywhere.
        beside = min((node.get("CPU", 0) / node["GPU"] for node in nodes if node.get("GPU")), default=0)
        cpus = beside * gpus if gpus else sum(node.get("CPU", 0) for node in nodes)
        smallest = min((node["CPU"] for node in nodes if node.get("CPU")), default=0)
        yield Resources(cpus=int(cpus), gpus=gpus, node_cpus=int(smallest))


def _require_reachable(address: str) -> None:
    """Raises PlanError if nobody listens at host:port; Ray itself would try for more than a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdigit()):
        if address == "auto":
            return
        raise PlanError(f"--address {address}: expected auto or host:port")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise PlanError(f"no Ray cluster at {address} ({error})") from None


def concurrent_trials(runs: list[PlannedRun], resources: Resources, gpus_per_worker: float | None) -> int | None:
    """How many trials may run at once on a cluster whose head was started without slots, or None if it has slots."""
    import ray

    slots = ray.cluster_resources().get(SLOT)
    widest = max(runs, key=lambda run: resources.slots_of(run, gpus_per_worker))
    need = resources.slots_of(widest, gpus_per_worker)
    if slots and need > slots:
        raise PlanError(f"{widest.experiment.name} needs {need:g} of the resource '{SLOT}'; the cluster has {slots:g}")
    if slots:
        return None
    at_once = int(resources.slots // need)
    print(
        f"the cluster has no resource '{SLOT}': {at_once} trial(s) at a time "
        f"(start its head with --resources='{{\"{SLOT}\": {resources.slots}}}' to fill it)"
    )
    return at_once
