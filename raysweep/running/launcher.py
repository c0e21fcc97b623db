"""Runs a plan on Ray: each bundle of runs is a Tune trial that drives a Ray Train worker group.

`admission` decides what starts and what makes room, `driver` is what happens in the trials, and here both meet Tune.
Ray's own state is never read back: the ledger and the checkpoints survive a crash, so that resuming is launching what
is left to do.
"""

import contextlib
import datetime
import functools
import os
import threading
import time
from collections.abc import Sequence

import ray
import ray.exceptions
from ray import tune

from raysweep.ledger import Ledger, make_folder
from raysweep.live import Status, choose_view
from raysweep.messages import one_line
from raysweep.planning import PlannedRun, Rules
from raysweep.ray_internals import Feature, lost, next_to_nothing, notice
from raysweep.running.driver import run_trial
from raysweep.running.health import RayHealth, RayLostError
from raysweep.running.placement import Placement
from raysweep.running.queue import TrialQueue
from raysweep.running.spec import MAX_RESTARTS
from raysweep.running.tune_adapter import TrialSearcher, TrialWatch, first_run

LOOK_EVERY = 1.0
"""Seconds between two looks whether Ray is still there."""
SILENT_AFTER = 5.0
"""Seconds after Ctrl-C within which Tune must have asked for trials, which it does several times a second."""


def launch(
    runs: Sequence[PlannedRun],
    ledger: Ledger,
    placement: Placement,
    rules: Rules | None = None,
    status: Status | None = None,
) -> float:
    """Run all `runs` in order, as many at a time as there are slots, and record each. Needs an initialised Ray.

    Tells `status`, which has been started, what happens; without one, it is shown for as long as this lasts. Returns
    the slots times seconds that it used. Raises RayLostError where the cluster is lost meanwhile, KeyboardInterrupt
    where `rules.interrupted` said so.
    """
    rules, without = rules or Rules(), _without(placement)
    with contextlib.ExitStack() as stack:
        if status is None:
            status = Status(ledger, choose_view(), slots=placement.slots, slots_of=placement.slots_of)
            status.start()
            stack.callback(status.close)
        queue = TrialQueue(ledger, placement, rules, status, without)
        queue.add(runs)
        make_folder(ledger.folder / "ray" / "train")  # one that Ray makes is closed to the others of a group
        if placement.prepares and Feature.KEPT_PROCESSES not in without:
            from raysweep.ray_internals import kept_processes

            stack.enter_context(kept_processes())
        _fit(queue, placement)
    if rules.interrupted():
        raise KeyboardInterrupt
    return queue.admission.slot_seconds


def _fit(queue: TrialQueue, placement: Placement) -> None:
    """Let Tune do the trials of a queue, in a thread of its own, while this one stays free for signals.

    Raises RayLostError where Ray is gone, even if Tune goes on waiting for it.
    """
    tuner, health = _tuner(queue, placement), RayHealth.of_this_cluster(own=placement.prepares)
    ended, raised = threading.Event(), []

    def fit() -> None:
        try:
            tuner.fit()
        except BaseException as error:
            raised.append(error)
        finally:
            ended.set()

    threading.Thread(target=fit, daemon=True, name="tune").start()
    interrupted_at = 0.0
    while not ended.wait(LOOK_EVERY):
        if why := health.loss():
            raise RayLostError(why)
        if queue.rules.interrupted():
            interrupted_at = interrupted_at or time.monotonic()
            if time.monotonic() - max(interrupted_at, queue.polled) > SILENT_AFTER:
                raise RayLostError("it does not answer")
    for error in raised:
        if isinstance(error, ray.exceptions.RayError | tune.TuneError):
            raise RayLostError(health.loss_within(2 * LOOK_EVERY) or one_line(error)) from None
        raise error


def _without(placement: Placement) -> frozenset[Feature]:
    """What the trials have to do without because this Ray is another than expected; says so once."""
    features = [Feature.NOTHING_ASKED, Feature.CLUSTER_ADDRESS]
    if placement.prepares:
        features += [Feature.LOCAL_TRAINER, Feature.KEPT_PROCESSES]
    if without := lost(*features):
        _say_once(notice(without))
    return without


@functools.cache
def _say_once(line: str) -> None:
    print(line, flush=True)


def _tuner(queue: TrialQueue, placement: Placement) -> tune.Tuner:
    """A Tuner that does the trials of a queue."""
    if_nothing = next_to_nothing()
    trial = tune.with_resources(
        run_trial,
        lambda config: tune.PlacementGroupFactory([{"CPU": 0, **(config["spec"].asked_of_ray or if_nothing)}]),
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
