"""What messages say of exceptions, in a line; those of torch, Ray and Python are real."""

import traceback

import pytest

from raysweep.messages import one_line
from raysweep.running.cluster import prepare_own_environment


def failing(index: int) -> None:
    raise OSError(f"/data/cat/{index}.png is no image\nand more about it")


def traceback_of_another_process() -> str:
    try:
        failing(7)
    except OSError:
        return traceback.format_exc()
    raise AssertionError


def of_a_loading_process() -> BaseException:
    from torch._utils import ExceptionWrapper

    try:
        failing(7)
    except OSError:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(OSError, match="DataLoader worker") as caught:
        wrapped.reraise()
    return caught.value


def of_other_weights() -> BaseException:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.nn.Linear(2, 1).load_state_dict(torch.nn.Linear(3, 1).state_dict())
    return caught.value


def of_a_task() -> BaseException:
    prepare_own_environment()
    prepare_own_environment()  # before Ray is imported, for the clusters of later tests
    import ray.exceptions

    told = traceback_of_another_process().removeprefix("Traceback (most recent call last):\n")
    coloured = f"\x1b[36mray::driver()\x1b[39m (pid=7, ip=127.0.0.1)\n{told}"
    return ray.exceptions.RayTaskError("driver", coloured, OSError("no image"), "ray::driver", 7, "127.0.0.1")


def of_a_controller() -> BaseException:
    prepare_own_environment()
    from ray.train.v2.api.exceptions import ControllerError

    return ControllerError(RuntimeError(traceback_of_another_process()))


def of_tune() -> BaseException:
    prepare_own_environment()
    from ray import tune

    return tune.TuneError(traceback_of_another_process())


def without_message() -> BaseException:
    return RuntimeError("Traceback (most recent call last):\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: ValueError("two lines\nof which the first says it"), "ValueError: two lines"),
        (lambda: KeyError("head"), "KeyError: 'head'"),
        (of_a_loading_process, "OSError: /data/cat/7.png is no image"),
        (
            of_other_weights,
            "RuntimeError: Error(s) in loading state_dict for Linear: size mismatch for weight: copying",
        ),
        (of_a_task, "OSError: /data/cat/7.png is no image"),
        (of_a_controller, "OSError: /data/cat/7.png is no image"),
        (of_tune, "OSError: /data/cat/7.png is no image"),
        (without_message, "RuntimeError"),
    ],
)
def test_the_line_of_a_message_that_says_what_went_wrong_is_chosen(error, said):
    line = one_line(error())
    assert line.startswith(said)
    assert "Traceback" not in line
    assert "\n" not in line


def test_a_secret_in_a_traceback_is_not_told(monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "/data/cat")
    assert one_line(RuntimeError(traceback_of_another_process())) == "RuntimeError: OSError: ***/7.png is no image"
