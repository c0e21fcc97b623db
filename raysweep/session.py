"""One invocation of a sweep, from planned runs to recorded results: on which cluster, under which rules.

What is asked for on the command line is worked out in run_sweep.py; how it is answered is for `analysis`.
"""

import argparse
import contextlib
import math
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from raysweep.cache import cache_folder
from raysweep.experiment import Experiment, Family, Question
from raysweep.forecasts import forecasts, past_error, setting_of, with_predictions
from raysweep.ledger import SETTLED, Ledger, Record, write_plan
from raysweep.live import Status, choose_view
from raysweep.planning import PlannedRun, Resources, accept_imported, alike, describe_changes, make_runs, matching
from raysweep.running import ClusterPlacement, LocalPlacement, Placement, concurrent_trials, own_cluster
from raysweep.tracking import Destination


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What one invocation works with."""

    args: argparse.Namespace
    family: Family
    question: Question | None
    """The one whose search chooses the runs; None where all are planned beforehand."""
    overrides: dict[str, Any]
    ledger: Ledger
    resources: Resources
    arrived: list[str]
    """Names of the runs that other commands have handed over."""
    destinations: Sequence[Destination] = ()
    """Where --track sends measurements."""

    @property
    def questions(self) -> list[dict[str, Any]]:
        """What the runs are to answer, as it is written down."""
        asked = [self.question] if self.question else [q for q in self.family.questions if q.kind != "search"]
        return [{**asdict(question), "family": question.family or self.family.name} for question in asked]

    @property
    def selection(self) -> str:
        """The arguments that name what is run, without those that say which of it and how."""
        flags = [f"--{name} {shlex.join(given)}" for name in ("group", "grid") if (given := getattr(self.args, name))]
        return " ".join(flags)

    def make(self, experiments: Sequence[Experiment], seeds: Sequence[int] | None) -> list[PlannedRun]:
        """The runs of experiments, with their own seeds without `seeds`. Raises PlanError for one that cannot be."""
        return make_runs(
            experiments,
            self.ledger,
            family=self.family,
            overrides=self.overrides,
            seeds=seeds,
            num_workers=self.args.num_workers,
            gpus=self.resources.gpus,
            group=self.args.group[0] if self.question else "",
            selection=self.selection,
        )


def run(
    setup: Setup, plans: Iterator[list[PlannedRun]], incoming: Callable[[], Sequence[PlannedRun]]
) -> tuple[list[str], bool]:
    """Run what is not finished, one plan after the other, and what comes in meanwhile.

    Returns the names of all runs, and whether the user has interrupted them.
    """
    ledger = setup.ledger
    names: dict[str, None] = {}
    expected: dict[str, tuple[float, float, float]] = {}
    interrupted = False
    with contextlib.ExitStack() as stack:
        launch: Callable[[list[PlannedRun], list[PlannedRun]], None] | None = None
        for runs in plans:
            names |= dict.fromkeys(run.name for run in runs)
            for file in ledger.set_aside():
                print(f"damaged record, its run is done again: {file}")
            before = list(ledger.records())
            runs = foresee(setup, runs, before, expected)
            planned = [run.record() for run in runs]
            todo = to_do(setup, runs, planned, before)
            write_plan(ledger, planned, setup.questions)
            if not todo:
                continue
            try:
                launch = launch or stack.enter_context(_launcher(setup, runs, incoming, expected))
                launch(todo, runs)
            except KeyboardInterrupt:
                interrupted = True
                print("interrupted; the same command goes on from the last checkpoints")
                break
            finally:
                ledger.adopt(planned)
    names |= dict.fromkeys(setup.arrived)
    return list(names), interrupted


def foresee(
    setup: Setup, runs: list[PlannedRun], records: list[Record], expected: dict[str, tuple[float, float, float]]
) -> list[PlannedRun]:
    """The runs with what is expected of their times by what is known now, for their records.

    `expected` takes in the seconds, with bounds, by name.
    """
    setting = setting_of(setup.resources, setup.args.gpus_per_worker, cache_folder())
    error = past_error(records)
    known = forecasts(runs, records, setting.share_of, setting.cache, error=error.spread if error else 0.0)
    for run, forecast in zip(runs, known, strict=True):
        if forecast.seconds is not None and forecast.low is not None and forecast.high is not None:
            expected[run.name] = forecast.seconds, forecast.low, forecast.high
    return with_predictions(runs, known)


def to_do(setup: Setup, runs: list[PlannedRun], planned: list[Record], before: list[Record]) -> list[PlannedRun]:
    """Of the runs those that are not settled, each once; says what has changed against the records of `before`."""
    ledger = setup.ledger
    enter_known(ledger, planned, setup.args)
    settled = ledger.settled()
    first = {run.key: run for run in reversed(runs)}  # of several experiments that are the same run
    todo = [run for run in runs if run.name not in settled and run is first[run.key]]
    done = sum(run.name in settled for run in runs)
    print(
        f"{len(runs)} run{'s' * (len(runs) != 1)} of {setup.family.name}, {done} finished before, {len(todo)} "
        f"to do on {setup.resources}; results in {ledger.location}"
    )
    if before and not setup.question:
        for line in describe_changes(runs, before):
            print(f"  {line}")
    return todo


def forget(setup: Setup, runs: list[PlannedRun]) -> None:
    """Remove the results of the experiments of --redo; of a search, at all values."""
    again = matching([planned.experiment.name for planned in runs], setup.args.redo)
    search = setup.question.search if setup.question else None
    records = list(setup.ledger.records()) if again else []
    for planned in runs:
        if planned.experiment.name in again:
            for record in alike(planned, (search.over, "seed") if search else (), records):
                setup.ledger.remove(record["run"])


def enter_known(ledger: Ledger, planned: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Enter under their planned names the results that there are, of other experiments and, if asked for, imported."""
    ledger.adopt(planned)
    if args.accept_imported:
        for line in accept_imported(ledger, planned):
            print(line)


def _notice_interrupts() -> Callable[[], bool]:
    """Let Ctrl-C be noticed; the second one ends us at once, and the cluster's supervisor cleans up.

    Returns what says whether there was one. A shell that has had it ignored, as for a job in the background, is obeyed.
    """
    noticed = threading.Event()

    def interrupt(*_: object) -> None:
        if noticed.is_set():
            os._exit(130)
        noticed.set()
        print("Ctrl-C: running trials write their checkpoints and stop (Ctrl-C again: at once)", flush=True)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return noticed.is_set


@contextlib.contextmanager
def _launcher(
    setup: Setup,
    runs: list[PlannedRun],
    incoming: Callable[[], Sequence[PlannedRun]],
    expected: Mapping[str, tuple[float, float, float]],
) -> Iterator[Callable[[list[PlannedRun], list[PlannedRun]], None]]:
    """Launches runs out of those of a plan, on the cluster of --address or one of our own that ends with this."""
    args = setup.args
    hours, of_gpus = args.budget_hours or (math.inf, False)
    left = 3600 * hours if of_gpus else math.inf  # of slots times seconds
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        placement: Placement
        if args.address:
            max_concurrent = concurrent_trials(runs, setup.resources, args.gpus_per_worker)
            placement = ClusterPlacement(setup.resources, args.gpus_per_worker, max_concurrent)
        else:
            placement = LocalPlacement(setup.ledger, setup.resources, args.gpus_per_worker)
            dashboard = stack.enter_context(own_cluster(setup.resources))
            print(f"Ray dashboard: http://{dashboard} (token: `ray get-auth-token`)")
        from raysweep.planning import Rules
        from raysweep.running import launch
        from raysweep.tracking import Gauges, Tracking

        gauges, tracking = Gauges(), Tracking.of(setup.ledger, setup.destinations)
        stack.callback(tracking.close)
        rules = Rules(
            followers=(gauges, tracking),
            counted=gauges.runs,
            backfill=args.backfill,
            deadline=math.inf if of_gpus else started + 3600 * hours,
            incoming=incoming,
            interrupted=_notice_interrupts(),
        )

        status = Status(
            setup.ledger,
            choose_view(),
            slots=placement.slots,
            slots_of=placement.slots_of,
            predicted=expected,
        )
        status.start()
        stack.callback(status.close)

        def start(todo: list[PlannedRun], planned: list[PlannedRun]) -> None:
            nonlocal left
            done = {record["run"]: record for record in setup.ledger.records() if record["status"] in SETTLED}
            status.add([run for run in planned if run.name in done or run in todo], done)
            left -= launch(todo, setup.ledger, placement, replace(rules, slot_seconds=left), status)

        yield start
