"""A short measurement has the names of a run's results, and leaves nothing behind."""

from dataclasses import replace

import pytest

from trainables import airbench, scattering
from trainables.airbench import ABLATIONS
from trainables.airbench import measuring as airbench_measuring
from trainables.scattering import ScatteringConfig
from trainables.scattering import measuring as scattering_measuring
from trainables.timing import Timings

SMALL = {"n_blocks": 2, "L": 4, "kernel_size": 5, "train_size": 0.2, "print_freq": 0}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(scattering_measuring, "TRAINING_SECONDS", 0.2)
    monkeypatch.setattr(scattering_measuring, "VALIDATION_SECONDS", 0.2)
    monkeypatch.setattr(airbench_measuring, "TRAINING_SECONDS", 0.2)


def times(results):
    return {name for name in results if name.endswith(("_seconds", "_per_second"))}


@pytest.mark.parametrize("fields", [{"lr_epochs": 2, "epochs": 2}, {"joint": True, "epochs": 2}])
def test_a_measurement_has_the_names_of_results(tmp_path, fields):
    config = ScatteringConfig(**SMALL, **fields, save_dir=str(tmp_path / "run"))
    measured = scattering.measure(config, 1)
    assert not list(tmp_path.iterdir()), "nothing is left"
    *_, last = scattering.train(config)
    assert measured.keys() == times(last["results"])
    assert all(value > 0 for name, value in measured.items() if name.endswith("_per_second"))


def test_results_account_for_the_time_of_a_run(tmp_path):
    """The sum over the phases, from medians, is about what it took."""
    config = ScatteringConfig(**SMALL, lr_epochs=3, epochs=3, save_dir=str(tmp_path))
    *_, last = scattering.train(config)
    found, total = last["results"], last["results"]["setup_seconds"]
    for phase, passes in (("head", 1), ("finetune", 4)):
        total += 3 * (284 / found[f"{phase}_images_per_second"] + found[f"{phase}_checkpoint_seconds"])
        total += found[f"{phase}_warm_up_seconds"] + passes * 359 / found[f"{phase}_validation_images_per_second"]
    assert 0.5 * found["seconds"] < total < 1.5 * found["seconds"]


def test_a_worker_of_several_measures_its_share_and_counts_all(tmp_path, monkeypatch):
    shares = []

    def train(worker, step, images, phase):
        shares.append(worker.config.global_batch_size)
        return 100.0, 0.0

    monkeypatch.setattr(scattering_measuring._TimedWorker, "train", train)
    config = ScatteringConfig(**SMALL, lr_epochs=1, epochs=0, global_batch_size=64, save_dir=str(tmp_path))
    assert scattering.measure(config, 4)["head_images_per_second"] == 400
    assert shares == [16]


def test_a_timed_run_is_measured_by_the_same_names(tmp_path):
    config = replace(
        ABLATIONS["mirror"], batch_size=64, epochs=0.1, tta="none", precision="float32", save_dir=str(tmp_path)
    )
    measured = airbench.measure(config, 1)
    assert not list(tmp_path.iterdir())
    *_, last = airbench.train(config)
    assert measured.keys() <= times(last["results"])
    assert measured["train_images_per_second"] > 0
    assert 0 < last["results"]["setup_seconds"] < last["results"]["seconds"]


def test_the_position_of_a_run_is_that_of_its_checkpoint(tmp_path):
    config = ScatteringConfig(**SMALL, lr_epochs=2, epochs=1, save_dir=str(tmp_path))
    assert scattering.position(config) is None
    reports = scattering.train(config)
    for report in reports:
        if report["event"] == "epoch" and report["epoch"] == 1:
            break
    reports.close()
    assert scattering.position(config) == ("head", 1)
    (tmp_path / "last.pt").write_bytes(b"damaged")
    assert scattering.position(config) is None


def test_one_slow_epoch_does_not_move_a_rate():
    timings = Timings()
    for value in (100.0, 5.0, 101.0):
        timings.add("head_images_per_second", value)
    assert timings.medians() == {"head_images_per_second": 100.0}
