"""The watchdog on workers that make no progress, played by pulse files that the test writes."""

import os
import time

from raysweep.running import watchdog
from raysweep.running.watchdog import (
    FIRST_BATCHES_LIMIT,
    MIN_BATCHES,
    SHORTEST_LIMIT,
    TIMES_THE_LONGEST_BATCH,
    Watchdog,
    limit,
)


def test_how_long_is_too_long_follows_from_the_longest_batch():
    assert limit(["host 1 50 0.200\n"], 1) == SHORTEST_LIMIT
    assert limit(["host 1 50 9.000\n", "host 2 50 30.000\n"], 2) == 30 * TIMES_THE_LONGEST_BATCH
    assert limit([f"host 1 {MIN_BATCHES - 1} 0.2\n"], 1) == FIRST_BATCHES_LIMIT, "too few batches to know"
    assert limit(["host 1 50 0.2\n"], 2) == FIRST_BATCHES_LIMIT, "a worker has not begun"


def test_a_worker_that_stands_still_is_named_and_all_are_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(watchdog, "SHORTEST_LIMIT", 1.0)
    (tmp_path / "pulse-2").write_text("host 99 500 0.001\n")  # left by an earlier attempt
    ended = []
    dog = Watchdog([tmp_path], 2, ended.append)
    dog.start()
    started = time.monotonic()
    for beat in range(1, 2000):
        if ended:
            break
        (tmp_path / "pulse-0").write_text(f"host 7 {beat + 3} 0.010\n")
        if beat < 20:
            (tmp_path / "pulse-1").write_text(f"host 8 {beat + 3} 0.010\n")
        time.sleep(0.02)
    assert 1.0 < time.monotonic() - started < 5
    assert sorted(ended[0]) == [("host", 7), ("host", 8)]
    where = f"runs/{tmp_path.name} of the results"
    assert dog.verdict == f"no worker got on for 1 s (worker 1 first); their stacks are in {where}"


def test_a_worker_that_makes_progress_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(watchdog, "SHORTEST_LIMIT", 0.5)
    ended = []
    dog = Watchdog([tmp_path], 1, ended.append)
    dog.start()
    for beat in range(100):
        temporary = tmp_path / "new"
        temporary.write_text(f"host 7 {beat} 0.010\n")
        os.replace(temporary, tmp_path / "pulse-0")
        time.sleep(0.01)
    (tmp_path / "pulse-0").unlink()  # its run has ended, and what follows may take longer
    time.sleep(0.8)
    dog.stop()
    dog.join()
    assert (ended, dog.verdict) == ([], "")
