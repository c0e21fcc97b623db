"""What is made of the exceptions that a run's workers end with; those of Ray and torch are real."""

import errno
import os

import pytest

from raysweep.ledger.records import DIVERGED, FAILED
from raysweep.running.cluster import prepare_own_environment
from raysweep.running.failures import failure_of, remedies
from search_spaces import airbench, imagenet_scattering
from tests.raysweep.runs import planned
from trainables.data.catalog import DataError


def gpu_is_full() -> BaseException:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def memory_is_full() -> BaseException:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (gpu_is_full, "memory", FAILED),
        (memory_is_full, "memory", FAILED),
        (MemoryError, "memory", FAILED),
        (lambda: FloatingPointError("the loss is nan in epoch 3"), "diverged", DIVERGED),
        (lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk", FAILED),
        (lambda: DataError("/data/cat/7.JPEG cannot be read as an image"), "data", FAILED),
        (lambda: KeyError("head"), "error", FAILED),
        (lambda: RuntimeError("Connection closed by peer [127.0.0.1]:4711"), "lost", ""),
    ],
)
def test_kinds(error, kind, status):
    failure = failure_of([error()])
    assert (failure.kind, failure.status) == (kind, status)
    assert "\n" not in failure.cause


def test_of_a_lost_worker_the_others_errors_are_a_consequence():
    prepare_own_environment()
    import ray.exceptions

    lost = ray.exceptions.ActorDiedError()
    assert failure_of([RuntimeError("gloo: Connection reset by peer"), lost]).kind == "lost"


def test_failures_are_alike_whatever_the_numbers_and_files():
    one, two = (failure_of([ValueError(f"head of {n} classes in /data/{n}")]) for n in (10, 100))
    assert one.signature == two.signature
    assert one.signature != failure_of([ValueError("head of ten classes")]).signature


def test_remedies_are_those_that_the_trainable_has_for_the_run():
    from dataclasses import replace

    c, e = (next(one for one in imagenet_scattering.EXPERIMENTS if one.name == name) for name in "CE")
    ours = "global_avg_pool=True, or global_batch_size=512, or mixing_horizon=27"
    assert remedies(planned(c, 8, dataset="digits")) == f"remedies: {ours} (each is another experiment)"
    rest = remedies(planned(e, 8, dataset="digits", global_batch_size=16))
    assert rest == "remedies: global_avg_pool=True (each is another experiment)", "16 images are two for each worker"
    cascade = airbench.FAMILY.experiments[0]
    half = cascade.config.batch_size // 2
    assert remedies(planned(cascade)) == f"remedies: batch_size={half} (each is another experiment)"
    assert remedies(planned(replace(cascade, trainable="benchmarks.sleeper"))) == "it needs more memory"
