"""What a plan says of runs that are known to wait for their images, and whether so many CPUs would feed them."""

import json
import time
from dataclasses import replace

import pytest
import torch

from raysweep.forecasts.loading import Loading
from raysweep.forecasts.plan_view import loader_lines
from raysweep.forecasts.planning import plan_as_json, plan_rows
from raysweep.ledger.opening import open_ledger
from tests.raysweep.forecasts.plans import BASE, RATES, machine_of_one_slot, planned, record
from tests.trainables import odd_data
from trainables.data import batches, file_source
from trainables.data.catalog import locate
from trainables.data.loading import FileImages, load
from trainables.data.waiting import Awaited
from trainables.distributed import Workers


@pytest.fixture
def rows(tmp_path):
    """The plan of seed 3 and of another experiment, after runs with these results."""

    def make(*results):
        ledger = open_ledger(tmp_path / "results")
        machine = machine_of_one_slot(tmp_path / "cache")
        for run, more in zip(planned(ledger, seeds=(0, 1, 2)), results, strict=False):
            record(ledger, run, RATES, **more)
        other = planned(ledger, replace(BASE, name="other"), width=2)
        return plan_rows(planned(ledger, seeds=(3, 4)) + other, ledger, machine)

    return make


WAITED = {"head_data_wait": 2.0, "finetune_data_wait": 31.0}


def test_a_plan_says_what_is_loader_bound_and_how_many_cpus_would_feed_it(rows):
    found = rows({**WAITED, "loaders": 16}, {**WAITED, "finetune_data_wait": 90.0, "loaders": 16}, {"loaders": 16})
    assert list(loader_lines(found)) == [
        "base (finetune) is loader-bound: 60 % of the time; 25 more CPUs would feed it"  # 16 x 0.605 / 0.395 = 24.5
    ]
    first, _, other = json.loads(json.dumps(plan_as_json(found)))
    assert first["data_wait"] == {"finetune": 60.5, "head": 2.0}
    assert first["more_cpus"] == 25
    assert (other["data_wait"], other["more_cpus"]) == (None, None)


def test_for_images_in_memory_it_says_the_part_alone(rows):
    found = rows(WAITED)
    assert list(loader_lines(found)) == ["base (finetune) is loader-bound: 31 % of the time"]
    assert plan_as_json(found)[0]["more_cpus"] is None


@pytest.mark.parametrize("results", [{}, {"head_data_wait": 9.9, "finetune_data_wait": 0.0, "loaders": 16}])
def test_of_runs_that_do_not_wait_and_of_older_ones_it_says_nothing(rows, results):
    found = rows(results)
    assert not list(loader_lines(found))
    assert plan_as_json(found)[0]["more_cpus"] is None


@pytest.mark.parametrize(
    ("wait", "loaders", "num_workers", "said"),
    [
        (31.0, 16, 1, "loader-bound: 31 % of the time; 8 more CPUs would feed it"),  # 7.2
        (31.0, 16, 8, "loader-bound: 31 % of the time; 64 more CPUs would feed it"),
        (50.0, 4, 1, "loader-bound: 50 % of the time; 4 more CPUs would feed it"),
        (20.0, 1, 1, "loader-bound: 20 % of the time; 1 more CPU would feed it"),
        (100.0, 4, 1, "loader-bound: 100 % of the time"),
        (31.0, None, 1, "loader-bound: 31 % of the time"),
        (9.0, 16, 1, ""),
    ],
)
def test_a_warning_names_whole_cpus_of_all_workers(wait, loaders, num_workers, said):
    assert str(Loading(waits={"joint": wait}, loaders=loaders, num_workers=num_workers)) == said


def test_so_many_more_threads_do_feed_it(tmp_path, monkeypatch):
    """Files that take 5 ms each, in batches of 32, for steps of 50 ms: one thread takes 160 ms for a batch."""
    monkeypatch.setattr(file_source, "read_file", lambda path: time.sleep(0.005) or content)
    info = locate("imagefolder", str(odd_data.image_folders(tmp_path)), image_size=32)
    images, _ = load(info, train_size=1.0, val_split=0.0, seed=0)
    with open(images.paths[0], "rb") as file:
        content = file.read()
    images = FileImages(images.paths * 8, images.labels.repeat(8))  # 320
    alone = Workers(rank=0, world_size=1, device=torch.device("cpu"))

    def waited(num_loaders: int) -> float:
        """The part of the time, in percent, from the third batch on, when those ahead have been used up."""
        source = batches.Batches(
            info, images, global_batch_size=32, workers=alone, augment=False, seed=0, num_loaders=num_loaders
        )
        awaited = Awaited(source.training("head", 1), alone.device)
        before = began = 0.0
        for number, _ in enumerate(awaited):
            if number == 2:
                before, began = awaited.seconds(), time.perf_counter()
            time.sleep(0.05)
        return 100 * (awaited.seconds() - before) / (time.perf_counter() - began)

    share = waited(1)
    assert 55 < share < 85, "of about 165 ms, 50 are no waiting"
    more = Loading(waits={"head": share}, loaders=1, num_workers=1).more_cpus
    assert waited(1 + more) < 15
