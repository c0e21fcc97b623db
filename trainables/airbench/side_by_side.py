"""Trains runs that differ in their seeds alone at the same time, since one of them leaves most of a large GPU idle.

Each run has a network, graphs and a stream of its own and computes what it computes alone, by the same kernels. They
are given an epoch's work in turns, so that none waits for another. What they took is no time of a run, so they have
none.
"""

import contextlib
import functools
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from trainables.airbench.config import AirbenchConfig
from trainables.airbench.training import QUEUED, finished_report, saved_reports, warm_setup
from trainables.airbench.warm_setup import WarmSetup
from trainables.data.catalog import locate
from trainables.data.info import DataInfo
from trainables.distributed import Workers
from trainables.results import Report

AT_ONCE = 8
"""The most runs that train at the same time."""


def train_side_by_side(configs: Sequence[AirbenchConfig]) -> Iterator[tuple[int, Report]]:
    """Train networks whose configurations differ in seed and save_dir alone; yield the number of each report's run.

    Reports are those of `training.train`, and so are the errors. One whose loss is not finite ends when the others have
    ended. It takes as many at once as have room in the memory, and is for one worker.
    """
    started, workers, info = time.perf_counter(), Workers.current(), locate(configs[0].dataset, configs[0].data_dir)
    waiting: deque[tuple[int, AirbenchConfig]] = deque()
    for number, config in enumerate(configs):
        if finished := finished_report(config, info, workers):
            yield number, finished
        else:
            waiting.append((number, config))
    failures: list[FloatingPointError] = []
    while waiting:
        size = math.ceil(len(waiting) / math.ceil(len(waiting) / AT_ONCE))  # groups of much the same size
        setups = _setups(replace(configs[0], seed=0, save_dir=""), info, workers, size)
        group = [(*waiting.popleft(), setup) for setup in setups]
        yield from _in_turns(group, info, started, failures)
        started = time.perf_counter()
    if failures:
        raise failures[0]


def _in_turns(
    group: Sequence[tuple[int, AirbenchConfig, WarmSetup]],
    info: DataInfo,
    started: float,
    failures: list[FloatingPointError],
) -> Iterator[tuple[int, Report]]:
    """Train the runs of a group, each with its setup; what diverges is added to `failures`."""
    lanes = deque(
        (number, setup, saved_reports(config, setup, info, started, at_once=len(group)))
        for number, config, setup in group
    )
    with contextlib.ExitStack() as stack:
        for *_, reports in lanes:
            stack.callback(reports.close)
        while lanes:
            number, setup, reports = lane = lanes.popleft()
            try:
                while (report := _next(setup, reports)) is not QUEUED:
                    if report is None:
                        break
                    yield number, report
                else:
                    lanes.append(lane)
            except FloatingPointError as error:
                failures.append(error)


def _next(setup: WarmSetup, reports: Iterator[Report]) -> Report | None:
    """The next report of a run, which works on its setup's stream; None at its end."""
    with torch.cuda.stream(setup.stream):
        return next(reports, None)


def _setups(config: AirbenchConfig, info: DataInfo, workers: Workers, count: int) -> list[WarmSetup]:
    """Setups for so many runs at once, or for as many as there is memory for; they are kept for the runs to come."""
    setups = _known_setups(config, info, workers)
    try:
        while len(setups) < count:
            setups.append(WarmSetup(config, info, workers, beside=setups[0]))
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
    return setups[:count]


@functools.lru_cache(maxsize=1)
def _known_setups(config: AirbenchConfig, info: DataInfo, workers: Workers) -> list[WarmSetup]:
    return [warm_setup(config, info, workers)]
