"""Airbench runs that train at the same time in one process, against the same runs alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainables.airbench import ABLATIONS, network, side_by_side, train, train_side_by_side, training
from trainables.airbench.training import _Run

SHORT = replace(
    ABLATIONS["lookahead"], batch_size=256, epochs=1.5, lookahead_epochs=0.5, freeze_epochs=1.0, precision="float32"
)
TIMES = ("seconds", "_seconds", "_per_second")


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Networks of few channels, which train in a moment."""
    caches = training.warm_setup, side_by_side._known_setups
    monkeypatch.setattr(network, "WIDTHS", (8, 16, 16))
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def configs(tmp_path, seeds, config=SHORT):
    return [replace(config, seed=seed, save_dir=str(tmp_path / f"s{seed}")) for seed in seeds]


def by_run(reports):
    """The reports of each run."""
    found = {}
    for number, report in reports:
        found.setdefault(number, []).append(report)
    return found


@pytest.mark.parametrize("name", ["lookahead", "muon"])
def test_each_run_is_what_it_is_alone_but_has_no_times(tmp_path, name, monkeypatch):
    """Three runs, at most two at a time: two, then one, which has times."""
    monkeypatch.setattr(side_by_side, "AT_ONCE", 2)
    config = replace(SHORT, muon=ABLATIONS[name].muon)
    together = configs(tmp_path / "together", range(5, 8), config)
    found = by_run(train_side_by_side(together))
    for number, alone in enumerate(configs(tmp_path / "alone", range(5, 8), config)):
        expected = [*train(alone)]
        assert [report["event"] for report in found[number]] == ["start", "epoch", "epoch", "result"]
        assert [r["train_loss"] for r in found[number][1:-1]] == [r["train_loss"] for r in expected[1:-1]]
        assert of_numbers(found[number][-1]) == of_numbers(expected[-1])
        assert found[number][-1]["results"].get("side_by_side") == (2 if number < 2 else None)
        assert has_times(found[number][-1]["results"]) == (number == 2)
        classes = [np.load(f"{config.save_dir}/predictions.npz")["classes"] for config in (alone, together[number])]
        assert np.array_equal(*classes)


def of_numbers(report):
    """The results of a run without times, memory and what it trained beside."""
    left_out = ("side_by_side", "peak_memory_bytes")
    return {n: v for n, v in report["results"].items() if not n.endswith(TIMES) and n not in left_out}


def has_times(results):
    return any(name.endswith(TIMES) for name in results)


def test_what_has_finished_is_read_and_the_rest_trained(tmp_path):
    first, second, third = configs(tmp_path, (5, 6, 7))
    *_, alone = train(second)
    found = by_run(train_side_by_side([first, second, third]))
    assert found[1] == [alone]
    assert found[0][-1]["results"]["side_by_side"] == found[2][-1]["results"]["side_by_side"] == 2
    assert by_run(train_side_by_side([first, second, third])) == {n: found[n][-1:] for n in range(3)}


def test_one_that_diverges_ends_when_the_others_have_ended(tmp_path, monkeypatch):
    epoch = _Run._epoch

    def diverging(self, steps, number):
        if self.config.seed == 6 and number == 1:
            raise FloatingPointError("the loss is nan in epoch 2")
        yield from epoch(self, steps, number)

    monkeypatch.setattr(_Run, "_epoch", diverging)
    reports = []
    with pytest.raises(FloatingPointError, match="nan in epoch 2"):
        reports.extend(train_side_by_side(configs(tmp_path, (5, 6, 7))))
    assert sorted(number for number, report in reports if report["event"] == "result") == [0, 2]
    assert not (tmp_path / "s6" / "pulse-0").exists()


def test_one_that_is_asked_to_stop_stops_alone(tmp_path):
    runs = configs(tmp_path, (5, 6))
    found = {}
    for number, report in train_side_by_side(runs):
        if (number, report["event"]) == (1, "start"):
            (tmp_path / "s6" / "stop").touch()
        found.setdefault(number, []).append(report["event"])
    assert found == {0: ["start", "epoch", "epoch", "result"], 1: ["start", "stopped"]}


def test_with_too_little_memory_fewer_train_at_once(tmp_path, monkeypatch):
    made = side_by_side.WarmSetup

    class Large(made):
        count = 0

        def __init__(self, *args, **named):
            Large.count += 1
            if Large.count > 1:  # beside the first one, which is that of runs alone
                raise torch.OutOfMemoryError
            super().__init__(*args, **named)

    monkeypatch.setattr(side_by_side, "WarmSetup", Large)
    found = by_run(train_side_by_side(configs(tmp_path, range(5, 9), replace(SHORT, epochs=0.5))))
    assert [found[number][-1]["results"]["side_by_side"] for number in range(4)] == [2, 2, 2, 2]
