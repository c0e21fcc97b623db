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

import ray
import ray.exceptions
import ray.train
from ray import tune

from raysweep.ledger import FAILED, STOPPED, UnreadableError, open_to_watch
from raysweep.planning import PlannedRun
from raysweep.ray_internals import Feature, hand_on
from raysweep.running.failures import DISK, HUNG, MEMORY, Failure, failure_of
from raysweep.running.recording import ledger_of, record_failure, unrecorded
from raysweep.running.spec import MAX_RESTARTS, Attempt, TrialSpec, WorkerSpec, end_report
from raysweep.running.trainers import trainer
from raysweep.running.watchdog import Watchdog
from raysweep.trainable_loader import load_trainable

ADDRESS = "RAY_ADDRESS"

LOOK_AROUND = 2.0
"""Seconds that workers have to write down where they are before they are ended."""


def run_trial(config: dict[str, TrialSpec]) -> None:
    """Body of a Tune trial; `config` holds the `TrialSpec` as "spec"."""
    spec = config["spec"]
    _name_the_cluster(spec)
    try:
        _run_all(spec)
    except UnreadableError as error:  # nobody knows which of the runs are done
        tune.report(dict(end_report(spec.runs[0].name, FAILED, str(error), kind=DISK)))


def _run_all(spec: TrialSpec) -> None:
    """Train the runs of a trial until all have ended. Raises UnreadableError where the ledger cannot be read."""
    ledger, started, restarts = ledger_of(spec), time.time(), 0
    while runs := unrecorded(spec):
        first = runs[0].name
        if ledger.runs.is_asked_to_stop(first):
            tune.report(dict(end_report(first, STOPPED, "stopped")))
            return
        attempts = tuple(Attempt(run=run, number=ledger.begin(run.name)) for run in runs)
        failure = _attempt(spec, attempts, restarts)
        unended = {run.name for run in unrecorded(spec)}
        failed = next((attempt for attempt in attempts if attempt.run.name in unended), None)
        if failure is None or failed is None:
            return
        run = failed.run
        if failure.kind == MEMORY and (cut := _cut(run)):
            parts, shorter = cut
            spec = dataclasses.replace(spec, runs=tuple(shorter if one is run else one for one in spec.runs))
            text = f"out of memory; goes on with batches in {parts} parts"
            tune.report(dict(end_report(run.name, "", text)))
        elif not failure.status and restarts < MAX_RESTARTS:
            text = f"interrupted: {failure.cause}; goes on from its last checkpoint"
            tune.report(dict(end_report(run.name, "", text)))
            restarts += 1
        else:
            text, recorded = record_failure(spec, failed, failure, started, restarts)
            status, signature = failure.status or FAILED, failure.signature
            tune.report(dict(end_report(run.name, status, text, kind=failure.kind, signature=signature)))
            if not recorded:
                return


def _attempt(spec: TrialSpec, attempts: tuple[Attempt, ...], restarts: int) -> Failure | None:
    """Train, with an eye on whether the workers get on. Returns why that ended, if not by itself."""
    try:
        with _watched(spec, [attempt.run for attempt in attempts]) as watchdog:
            _train(spec, attempts, restarts)
    except ray.train.TrainingFailedError as error:
        failures = list(getattr(error, "worker_failures", {}).values()) or [error]
        return Failure(HUNG, watchdog.verdict) if watchdog.verdict else failure_of(failures)
    return None


def _name_the_cluster(spec: TrialSpec) -> None:
    """Tell what Ray Train starts from here which cluster it belongs to.

    What frees the workers of a dead controller asks the State API without naming one, which fails where another cluster
    runs on this machine as well.
    """
    os.environ[ADDRESS] = ray.get_runtime_context().gcs_address
    if Feature.CLUSTER_ADDRESS not in spec.without:
        hand_on(ADDRESS)


def _cut(run: PlannedRun) -> tuple[int, PlannedRun] | None:
    """The run with its batches cut into twice as many parts, and how many; None where that is not possible."""
    traits = load_trainable(run.experiment.trainable).traits
    field = traits.batch_parts
    if not field or (parts := 2 * getattr(run.config, field)) > traits.most_batch_parts:
        return None
    return parts, dataclasses.replace(run, config=dataclasses.replace(run.config, **{field: parts}))


@contextlib.contextmanager
def _watched(spec: TrialSpec, runs: Sequence[PlannedRun]) -> Iterator[Watchdog]:
    """Within this context a watchdog ends the workers of the runs if they do not get on."""
    names, num_workers = [run.name for run in runs], runs[0].num_workers
    with open_to_watch(spec.results) as ledger:
        folders = [ledger.runs.folder(name) for name in names]

        def refresh() -> None:
            for name, rank in itertools.product(names, range(num_workers)):
                ledger.runs.fetch_pulse(name, rank)

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


def _train(spec: TrialSpec, attempts: tuple[Attempt, ...], restarts: int) -> None:
    """One Ray Train run over runs of a trial."""
    first = attempts[0].run
    storage = Path(spec.folder) / "ray" / "train"
    name = f"{first.name}-{datetime.datetime.now():%H%M%S}-{os.getpid()}-{restarts}"
    rendezvous = str(storage / "rendezvous" / uuid.uuid4().hex) if spec.gate else ""
    told = WorkerSpec(trial=spec, attempts=attempts, restarts=restarts, rendezvous=rendezvous)
    trainer(told, name=name, storage=str(storage)).fit()
