"""Runs a plan on Ray: each series of runs is a Tune trial that drives a Ray Train worker group.

`admission` decides what starts and what makes room, `trial` is what happens in the trials, here both meet Tune. Ray's
own state is never read back. What survives a crash is the ledger and the trainables' checkpoints, so resuming is
launching what is left to do.
"""

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import ray
import ray.exceptions
from ray import tune
from ray.tune.execution import tune_controller

from raysweep.ledger import Ledger, Record
from raysweep.live import Status
from raysweep.messages import one_line
from raysweep.planning import PlannedRun, Resources, Rules
from raysweep.running.cluster import SLOT
from raysweep.running.driver import MAX_RESTARTS, run_trial
from raysweep.running.queue import TrialQueue

HEAD_NODE = "node:__internal_head__"
"""What Ray gives every head node; a trial must ask for something, and without slots asks for a trace of this."""


def launch(
    runs: Sequence[PlannedRun],
    ledger: Ledger,
    resources: Resources,
    rules: Rules | None = None,
    status: Status | None = None,
) -> float:
    """Run all `runs` in order, as many at a time as there are slots, and record each. Needs an initialised Ray.

    Tells `status`, which has been started, what happens; without one, it is shown for as long as this lasts. Returns
    the slots times seconds that it used. Raises ConnectionError where the cluster is lost meanwhile, KeyboardInterrupt
    where `rules.interrupted` said so.
    """
    rules = rules or Rules()
    queue = TrialQueue(ledger, resources, rules, status)
    queue.add(runs)
    takes_slots = not rules.loopback and rules.max_concurrent is None
    trial = tune.with_resources(
        run_trial,
        lambda config: tune.PlacementGroupFactory(
            [{"CPU": 0, **({SLOT: config["spec"]["slots"]} if takes_slots else {HEAD_NODE: 0.001})}]
        ),
    )
    tuner = tune.Tuner(
        trial,
        tune_config=tune.TuneConfig(
            search_alg=queue,
            num_samples=-1,
            reuse_actors=rules.loopback,  # elsewhere they hold slots
            trial_name_creator=lambda trial: _first(trial)["run"],
            trial_dirname_creator=lambda trial: _first(trial)["run"],
        ),
        run_config=tune.RunConfig(
            name=f"sweep-{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}",
            storage_path=str(ledger.folder / "ray"),
            failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
            callbacks=[_Watch(queue)],
            verbose=0,
        ),
    )
    try:
        with contextlib.ExitStack() as stack:
            if status is None:
                queue.status.start()
                stack.callback(queue.status.close)
            stack.enter_context(mock.patch.object(tune_controller, "_ObjectCache", _FreeProcesses))
            tuner.fit()
    except (ray.exceptions.RayError, tune.TuneError) as error:
        raise ConnectionError(f"the Ray cluster was lost ({one_line(error)}); the same command goes on") from None
    if rules.interrupted():
        raise KeyboardInterrupt
    return queue.admission.slot_seconds


def _first(trial: Any) -> Record:
    """What the record of a trial's first run says beforehand."""
    record: Record = trial.config["spec"]["runs"][0]["record"]
    return record


class _FreeProcesses(tune_controller._ObjectCache):  # type: ignore[misc]
    """The processes of ended trials, for those to come.

    Tune itself keeps one of them, and gives it to a trial for which another one is starting, which it ends. Here all
    stay until the end, and a trial has one of them at its beginning or starts one.
    """

    _begins = False
    """Whether Tune, since it announced a trial, has not asked for a process yet."""

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Keep a process. Whether it is kept."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def increase_max(self, key: Any, by: int = 1) -> None:
        """A trial is about to begin."""
        super().increase_max(key, by)
        self._begins = True

    def has_cached_object(self, key: Any) -> bool:
        """Whether there is a process for the trial that begins."""
        begins, self._begins = self._begins, False
        return begins and bool(self._cached_objects[key])

    def pop_cached_object(self, key: Any) -> Any:
        """Take it."""
        self._num_cached_objects -= 1
        return self._cached_objects[key].pop(0)

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        """Those not to be kept any longer: at the end, all of them."""
        return super().flush_cached_objects(force_all=True) if force_all else iter(())


class _Watch(tune.Callback):  # type: ignore[misc]
    """Hands what Tune sees to the queue."""

    def __init__(self, queue: TrialQueue) -> None:
        self._queue = queue

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._queue.tend()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Record, **info: Any) -> None:
        self._queue.reported(result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = self._queue.runs[_first(trial)["run"]]
        self._queue.status.retries(run, "lost its process; goes on from what its runs have left")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._queue.lost(trial.config["spec"])
