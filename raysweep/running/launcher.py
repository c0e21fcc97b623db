"""Runs a plan on Ray: each bundle of runs is a Tune trial that drives a Ray Train worker group.

`admission` decides what starts and what makes room, `driver` is what happens in the trials, and here both meet Tune.
Ray's own state is never read back: the ledger and the checkpoints survive a crash, so that resuming is launching what
is left to do.
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

from raysweep.ledger import Ledger
from raysweep.live import Status, choose_view
from raysweep.messages import one_line
from raysweep.planning import PlannedRun, Rules
from raysweep.running.driver import run_trial
from raysweep.running.placement import Placement
from raysweep.running.queue import TrialQueue
from raysweep.running.spec import MAX_RESTARTS
from raysweep.running.tune_adapter import TrialSearcher, TrialWatch, first_run


def launch(
    runs: Sequence[PlannedRun],
    ledger: Ledger,
    placement: Placement,
    rules: Rules | None = None,
    status: Status | None = None,
) -> float:
    """Run all `runs` in order, as many at a time as there are slots, and record each. Needs an initialised Ray.

    Tells `status`, which has been started, what happens; without one, it is shown for as long as this lasts. Returns
    the slots times seconds that it used. Raises ConnectionError where the cluster is lost meanwhile, KeyboardInterrupt
    where `rules.interrupted` said so.
    """
    rules = rules or Rules()
    with contextlib.ExitStack() as stack:
        if status is None:
            status = Status(ledger, choose_view(), slots=placement.slots, slots_of=placement.slots_of)
            status.start()
            stack.callback(status.close)
        queue = TrialQueue(ledger, placement, rules, status)
        queue.add(runs)
        stack.enter_context(mock.patch.object(tune_controller, "_ObjectCache", _FreeProcesses))
        try:
            _tuner(queue, placement).fit()
        except (ray.exceptions.RayError, tune.TuneError) as error:
            raise ConnectionError(f"the Ray cluster was lost ({one_line(error)}); the same command goes on") from None
    if rules.interrupted():
        raise KeyboardInterrupt
    return queue.admission.slot_seconds


def _tuner(queue: TrialQueue, placement: Placement) -> tune.Tuner:
    """A Tuner that does the trials of a queue."""
    trial = tune.with_resources(
        run_trial,
        lambda config: tune.PlacementGroupFactory([{"CPU": 0, **config["spec"].asked_of_ray}]),
    )
    return tune.Tuner(
        trial,
        tune_config=tune.TuneConfig(
            search_alg=TrialSearcher(queue),
            num_samples=-1,
            reuse_actors=placement.prepares,  # elsewhere the actors of ended trials hold resources
            trial_name_creator=first_run,
            trial_dirname_creator=first_run,
        ),
        run_config=tune.RunConfig(
            name=f"sweep-{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}",
            storage_path=str(queue.ledger.folder / "ray"),
            failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
            callbacks=[TrialWatch(queue)],
            verbose=0,
        ),
    )


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
