"""The device is called what torch calls it."""

import os

import torch

from raysweep.forecasts.machine import device_name, worker_memory
from trainables.distributed import Workers


def test_the_processor_has_the_name_that_results_have():
    workers = Workers(rank=0, world_size=1, device=torch.device("cpu"))
    assert device_name(torch.get_num_threads(), gpu=False) == workers.device_name()


def test_workers_share_the_memory_of_the_machine():
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < worker_memory(1, gpu=False) <= machine
    assert worker_memory(4, gpu=False) == worker_memory(1, gpu=False) // 4
