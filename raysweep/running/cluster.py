"""The Ray cluster of a sweep: one of its own on this machine, or a running one.

Admission counts slots: as many as the cluster has GPUs (or CPUs, without GPUs). A trial takes one for each worker, so
its workers always find room and trials of any width cannot deadlock. On a running cluster, which others may use too,
slots are also a resource of Ray's, given to its head node when it was started.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from raysweep.messages import PlanError, one_line
from raysweep.planning import PlannedRun, Resources
from raysweep.ray_internals import ENVIRONMENT, NEEDED, SOCKETS, Feature, lost, notice, on_loopback
from raysweep.running import supervisor
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

    Raises PlanError if it does not start.
    """
    prepare_own_environment()
    import ray

    if without := lost(Feature.LOOPBACK):
        print(notice(without), flush=True)
    with contextlib.ExitStack() as stack:
        stack.callback(supervisor.watch().communicate)
        try:
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
            raise PlanError(f"Ray does not start on this machine ({one_line(error)})") from None
        stack.callback(ray.shutdown)
        yield context.dashboard_url or ""


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
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise PlanError(f"no Ray cluster at {address} ({str(error).splitlines()[0]})") from None
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes) if use_gpus else 0
        # Beside each GPU, the CPUs that the poorest node has for it: a worker's share must fit everywhere.
        beside = min((node.get("CPU", 0) / node["GPU"] for node in nodes if node.get("GPU")), default=0)
        cpus = beside * gpus if gpus else sum(node.get("CPU", 0) for node in nodes)
        smallest = min((node["CPU"] for node in nodes if node.get("CPU")), default=0)
        yield Resources(cpus=int(cpus), gpus=gpus, node_cpus=int(smallest))
    finally:
        ray.shutdown()


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
