"""What a trial does in its own process: a Ray Train run over its runs, again and again, until all have ended.

Each result is recorded by the main worker as soon as it is there (see `worker`). A run that fails by itself is recorded
as failed, and the trial goes on with the next one; what a machine is to blame for goes on from its checkpoint.
"""

import contextlib
import dataclasses
import datetime
import itertools
import os
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
from ray import tune
from ray.train import RunConfig, ScalingConfig
from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep import ray_internals
from raysweep.ledger import FAILED, STOPPED
from raysweep.running.failures import HUNG, MEMORY, Failure, failure_of
from raysweep.running.recording import ledger_of, record_failure, unrecorded
from raysweep.running.watchdog import Watchdog
from raysweep.running.worker import ReportToTune, train_loop

MAX_RESTARTS = 10
"""Times that a run goes on from its checkpoint after a lost worker, node or process before it counts as failed."""

PARTS = "batch_parts"
"""The configuration's field that says into how many parts a batch is cut for want of memory."""
MOST_PARTS = 4

ADDRESS = "RAY_ADDRESS"

LOOK_AROUND = 2.0
"""Seconds that workers have to write down where they are before they are ended."""


def run_trial(config: dict[str, Any]) -> None:
    """Body of a Tune trial."""
    _name_the_cluster()
    spec, started, restarts = config["spec"], time.time(), 0
    ledger = ledger_of(spec)
    while runs := unrecorded(spec):
        first = runs[0]["record"]["run"]
        if ledger.is_asked_to_stop(first):
            tune.report({"event": "ended", "run": first, "status": STOPPED, "text": "stopped"})
            return
        for run in runs:
            run["record"]["attempt"] = ledger.begin(run["record"]["run"])
        try:
            with _watched(spec, runs) as watchdog:
                _train_run(spec, runs, restarts)
            return
        except ray.train.TrainingFailedError as error:
            failures = list(getattr(error, "worker_failures", {}).values()) or [error]
            failure = Failure(HUNG, watchdog.verdict) if watchdog.verdict else failure_of(failures)
        failed = next(iter(unrecorded(spec)), None)
        if failed is None:
            return
        name = failed["record"]["run"]
        if failure.kind == MEMORY and _cut(failed):
            text = f"out of memory; goes on with batches in {failed['record']['config'][PARTS]} parts"
            tune.report({"event": "ended", "run": name, "status": "", "text": text})
            continue
        if not failure.status and restarts < MAX_RESTARTS:
            text = f"interrupted: {failure.cause}; goes on from its last checkpoint"
            tune.report({"event": "ended", "run": name, "status": "", "text": text})
            restarts += 1
            continue
        said = record_failure(spec, failed["record"], failure, started, restarts)
        signature = {"signature": failure.signature, "kind": failure.kind}
        tune.report({"event": "ended", "run": name, "status": failure.status or FAILED, "text": said[0], **signature})
        if not said[1]:
            return


def _name_the_cluster() -> None:
    """Tell what Ray Train starts from here which cluster it belongs to.

    What frees the workers of a dead controller asks the State API without naming one, which fails where another cluster
    runs on this machine as well.
    """
    ENV_VARS_TO_PROPAGATE.add(ADDRESS)
    os.environ[ADDRESS] = ray.get_runtime_context().gcs_address


def _cut(run: dict[str, Any]) -> bool:
    """Let a run's batches be cut into twice as many parts; whether that is possible."""
    parts = 2 * getattr(run["config"], PARTS, MOST_PARTS)
    if parts > MOST_PARTS:
        return False
    run["config"] = dataclasses.replace(run["config"], **{PARTS: parts})
    run["record"]["config"][PARTS] = parts
    return True


@contextlib.contextmanager
def _watched(spec: dict[str, Any], runs: Sequence[dict[str, Any]]) -> Iterator[Watchdog]:
    """With an eye on whether the runs' workers get on."""
    names, num_workers = [run["record"]["run"] for run in runs], runs[0]["record"]["num_workers"]
    with ledger_of(spec).seen_from_afar() as ledger:
        folders = [ledger.run_folder(name) for name in names]

        def refresh() -> None:
            for name, rank in itertools.product(names, range(num_workers)):
                ledger.fetch(f"runs/{name}/pulse-{rank}")

        watchdog = Watchdog(folders, num_workers, _end_workers, refresh)
        watchdog.start()
        try:
            yield watchdog
        finally:
            watchdog.stop()


def _end_workers(workers: list[tuple[str, int]]) -> None:
    """End processes (host, pid), on whichever node."""
    nodes = {node["NodeManagerHostname"]: node["NodeID"] for node in ray.nodes() if node["Alive"]}
    task = ray.remote(num_cpus=0)(_end_processes)
    ended = []
    for host in {host for host, _ in workers} & nodes.keys():
        on_node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(nodes[host], soft=False)
        ended.append(task.options(scheduling_strategy=on_node).remote([pid for h, pid in workers if h == host]))
    ray.wait(ended, num_returns=len(ended), timeout=30)


def _end_processes(pids: list[int]) -> None:
    """Let processes of Ray on this machine show where they are, and end them."""
    ours = [pid for pid in pids if _is_of_ray(pid)]
    for how in (signal.SIGUSR1, signal.SIGKILL):
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        time.sleep(LOOK_AROUND)


def _is_of_ray(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::")
    except OSError:
        return False


def _train_run(spec: dict[str, Any], runs: list[dict[str, Any]], attempt: int) -> None:
    """One Ray Train run over the given runs of a trial."""
    first = runs[0]["record"]
    storage = Path(spec["folder"]) / "ray" / "train"
    name = f"{first['run']}-{datetime.datetime.now():%H%M%S}-{os.getpid()}-{attempt}"
    loop = {"spec": spec, "runs": runs, "restarts": attempt, "rendezvous": ""}
    if spec["gate"]:
        loop["rendezvous"] = str(storage / "rendezvous" / uuid.uuid4().hex)
        ray_internals.trainer(
            train_loop,
            loop,
            name=name,
            storage=str(storage),
            num_workers=first["num_workers"],
            callbacks=[ReportToTune()],
        ).fit()
        return
    from ray.train.torch import TorchTrainer  # imports torch, which a trial on one machine does without

    TorchTrainer(
        train_loop,
        train_loop_config=loop,
        scaling_config=ScalingConfig(
            num_workers=first["num_workers"],
            use_gpu="GPU" in spec["per_worker"],
            resources_per_worker=spec["per_worker"],
        ),
        run_config=RunConfig(name=name, storage_path=str(storage), callbacks=[TuneReportCallback()]),
    ).fit()
