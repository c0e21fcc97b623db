"""Costs are worked out once, and again when anything changes that they rest on."""

import importlib
import os
import sys
from dataclasses import replace

import pytest

from raysweep.experiment import Experiment
from raysweep.forecasts import known_costs
from raysweep.forecasts.costs import PlannedCosts
from raysweep.forecasts.planning import plan_rows
from raysweep.ledger.opening import open_ledger
from tests import planned_trainable
from tests.conftest import run
from tests.planned_trainable import PlannedConfig
from tests.raysweep.forecasts.plans import planned
from tests.raysweep.forecasts.test_planning import machine  # noqa: F401


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path / "results")


@pytest.fixture
def asked(monkeypatch):
    """The widths that the trainable was asked the costs of."""
    cost, widths = planned_trainable.cost, []

    def counted(config, num_workers, device):
        widths.append(config.width)
        return cost(config, num_workers, device)

    monkeypatch.setattr(planned_trainable, "cost", counted)
    return widths


def costs_of(runs, cache, device="cpu"):
    """What a plan of its own finds out."""
    costs = PlannedCosts(device, cache)
    found = [costs.of(run) for run in runs]
    costs.keep()
    return found


def test_a_second_plan_asks_for_no_costs_and_shows_the_same(ledger, machine, asked):  # noqa: F811
    runs = planned(ledger, seeds=(0, 1)) + planned(ledger, width=3)
    first = plan_rows(runs, ledger, machine)
    n = len(asked)
    assert n
    assert plan_rows(runs, ledger, machine) == first
    assert len(asked) == n


def test_other_seeds_have_the_same_costs_and_other_fields_workers_and_devices_their_own(ledger, tmp_path, asked):
    costs_of(planned(ledger), tmp_path)
    costs_of(planned(ledger, seeds=(7,)), tmp_path)
    assert asked == [1]
    costs_of(planned(ledger, width=2), tmp_path)
    costs_of(planned(ledger, images=5), tmp_path)
    costs_of([replace(run, num_workers=2) for run in planned(ledger)], tmp_path)
    costs_of(planned(ledger), tmp_path, device="cuda")
    (run,) = planned(ledger)
    costs_of([replace(run, facts={**run.facts, "data": "others"})], tmp_path)
    assert asked == [1, 2, 1, 1, 1, 1]
    costs_of(planned(ledger, width=2) + planned(ledger, images=5), tmp_path)
    assert len(asked) == 6


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": [], "costs": {}}', b'{"files": {}, "costs": 3}'])
def test_a_damaged_file_is_as_none(ledger, tmp_path, asked, content):
    expected = costs_of(planned(ledger), tmp_path)
    (file,) = (tmp_path / "costs").iterdir()
    file.write_bytes(content)
    assert costs_of(planned(ledger), tmp_path) == expected
    assert asked == [1, 1]


def test_a_cache_that_cannot_be_written_is_done_without(ledger, tmp_path, asked):
    (tmp_path / "costs").write_text("a file in its place")
    assert costs_of(planned(ledger), tmp_path) == costs_of(planned(ledger), tmp_path)
    assert asked == [1, 1]


PARTS = {
    "own_network": "WEIGHTS = 5\n",
    "own_costly": "import own_network\n"
    "def check(config, num_workers):\n    return {'data': 'd', 'numerics': 1}\n"
    "def train(config): ...\n"
    "def cost(config, num_workers, device):\n"
    "    size = own_network.WEIGHTS\n"
    "    return {'flops_forward': size, 'flops_train': size, 'memory_bytes': size}\n",
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A trainable of two modules, as each process finds it that imports it anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(known_costs, "folders", lambda: [str(tmp_path)])

    def fresh(**changed):
        for name, text in changed.items():
            file = tmp_path / f"{name}.py"
            file.write_text(text)
            os.utime(file, (1e9, 1e9))  # of another day, and of the same second: contents count
        for name in PARTS:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        sys.path_importer_cache.clear()
        return Experiment(name="own", config=PlannedConfig(), trainable="own_costly")

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield fresh
    for name in PARTS:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("module", list(PARTS))
def test_an_edit_of_the_trainable_or_of_what_it_imports_counts_at_once(ledger, tmp_path, written, module):
    def forward(experiment):
        (costs,) = costs_of(planned(ledger, experiment), tmp_path / "cache")
        return costs["flops_forward"]

    assert forward(written(**PARTS)) == 5
    assert forward(written()) == 5
    assert "own_network" not in sys.modules or sys.modules["own_network"].WEIGHTS == 5
    old, new = ("5", "6") if module == "own_network" else ("size = own_network.WEIGHTS", "size = 6 + 0 * config.seed ")
    assert forward(written(**{module: PARTS[module].replace(old, new)})) == 6
    assert forward(written(**PARTS)) == 5


def test_what_was_edited_while_a_plan_is_made_is_not_kept(ledger, tmp_path, written):
    experiment = written(**PARTS)
    costs = PlannedCosts("cpu", tmp_path / "cache")
    costs.of(planned(ledger, experiment)[0])
    (tmp_path / "own_network.py").write_text("WEIGHTS = 7\n")
    os.utime(tmp_path / "own_network.py", (4e9, 4e9))
    costs.keep()
    assert not (tmp_path / "cache").exists()


WARM = """
import sys, run_sweep
assert run_sweep.main(sys.argv[1:]) == 0
print("torch" in sys.modules)
"""


@pytest.mark.slow
def test_a_second_plan_of_networks_imports_no_torch_and_shows_rough_times(tmp_path):
    command = ("-c", WARM, "--group", "depth", "--only", "C", "--plan", "--results", tmp_path / "results")
    printed = [run(*command, RAYSWEEP_CACHE=str(tmp_path / "cache")).stdout for _ in range(2)]
    assert [text.splitlines()[-1] for text in printed] == ["True", "False"]
    assert all("~ rough: from operations and a measured matrix product" in text for text in printed)
