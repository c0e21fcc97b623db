"""How long training waits for its images: against sleeps of a known length, and against a simulated GPU."""

import time

import pytest
import torch

from tests.trainables import odd_data
from tests.trainables.training import SMALL, results
from trainables.data import batches, file_source
from trainables.data.waiting import Awaited
from trainables.scattering import ScatteringConfig, train

CPU = torch.device("cpu")


def sleeping(seconds, items=range(8)):
    for item in items:
        time.sleep(seconds)
        yield item


def test_what_getting_a_batch_takes_counts_and_what_is_done_with_it_does_not():
    awaited = Awaited(sleeping(0.02), CPU)
    seen = []
    for item in awaited:
        time.sleep(0.04)
        seen.append(item)
    assert seen == list(range(8))
    assert 8 * 0.02 <= awaited.seconds() < 8 * 0.03


class Gpu:
    """A host whose clock the test moves, and a GPU that does what it is given, one after the other."""

    def __init__(self) -> None:
        self.now = self.free_at = 0.0

    def work(self, seconds: float) -> None:
        self.free_at = max(self.now, self.free_at) + seconds

    def event(self, *, enable_timing: bool) -> "Gpu.Event":
        assert enable_timing
        return Gpu.Event(self)

    class Event:
        def __init__(self, gpu: "Gpu") -> None:
            self.gpu = gpu

        def record(self) -> None:
            self.at = max(self.gpu.now, self.gpu.free_at)

        def query(self) -> bool:
            return self.gpu.now >= self.at

        def elapsed_time(self, other: "Gpu.Event") -> float:
            assert self.query()
            assert other.query()
            return 1000 * (other.at - self.at)


@pytest.mark.parametrize(
    ("loading", "step", "waited"),
    [(3.0, 2.0, 3 + 9 * 1), (1.0, 3.0, 1), (1.0, 0.0, 10)],
    ids=["the loaders are slower", "the gpu is slower", "it has nothing to do"],
)
def test_on_a_gpu_the_time_counts_in_which_it_has_no_step_left(monkeypatch, loading, step, waited):
    gpu = Gpu()
    monkeypatch.setattr(torch.cuda, "Event", gpu.event)

    def loaded():
        for item in range(10):
            gpu.now += loading
            yield item

    awaited = Awaited(loaded(), torch.device("cuda"))
    for _ in awaited:
        gpu.work(step)
    gpu.now = gpu.free_at  # as where the loss is read
    assert awaited.seconds() == pytest.approx(waited)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@pytest.mark.parametrize("loading", [0.03, 0.0])
def test_a_gpu_that_is_there_waits_as_the_simulated_one_does(loading):
    def step() -> None:
        torch.cuda._sleep(20_000_000)  # cycles: 10 ms or so

    step()
    torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    torch.cuda.synchronize()
    busy = time.perf_counter() - started
    assert busy < 0.02
    awaited = Awaited(sleeping(loading), torch.device("cuda"))
    for _ in awaited:
        step()
    torch.cuda.synchronize()
    expected = loading + 7 * (loading - busy) if loading else 0.0
    assert awaited.seconds() == pytest.approx(expected, rel=0.1, abs=0.002)


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_a_run_says_for_which_part_of_its_time_it_waited(tmp_path, monkeypatch, pause):
    read = batches._TensorSource.read

    def slow(source, parts, key):
        for part in read(source, parts, key):
            if key and pause:  # a sleep of no length gives other programs their turn
                time.sleep(pause)
            yield part

    monkeypatch.setattr(batches._TensorSource, "read", slow)
    config = ScatteringConfig(
        **{**SMALL, "print_freq": 4}, global_batch_size=32, lr_epochs=2, epochs=1, save_dir=str(tmp_path)
    )
    reports = list(train(config))
    epochs = [report for report in reports if report["event"] == "epoch"]
    assert all(0 <= report["data_wait"] <= 100 for report in reports if report["event"] == "progress")
    beside = []
    for report, steps in zip(epochs, (8, 9, 8), strict=True):  # the first one of each phase does not count
        slept = 100 * steps * pause / ((284 - 32 * (9 - steps)) / report["images_per_second"])
        beside.append(report["data_wait"] - slept)
    assert min(beside) > -1
    assert min(beside) < 20, "images are gathered and cropped, where other programs leave it the time"
    found = reports[-1]["results"]
    assert found["head_data_wait"] == pytest.approx(sum(report["data_wait"] for report in epochs[:2]) / 2)
    assert found["finetune_data_wait"] == epochs[2]["data_wait"]
    assert "loaders" not in found, "no images are read from files"


def test_a_run_that_reads_files_says_with_how_many_threads(tmp_path, monkeypatch):
    read_file = file_source.read_file
    monkeypatch.setattr(file_source, "read_file", lambda path: time.sleep(0.02) or read_file(path))
    data = {"dataset": "imagefolder", "data_dir": str(odd_data.image_folders(tmp_path / "data")), "image_size": 32}
    fields = {**SMALL, **data, "train_size": 1.0, "global_batch_size": 8, "lr_epochs": 1, "epochs": 0, "workers": 1}
    found = results(ScatteringConfig(**fields, save_dir=str(tmp_path / "run")))["results"]
    assert found["loaders"] == 1
    assert found["head_data_wait"] > 30
