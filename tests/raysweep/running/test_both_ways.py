"""A run by its printed command, in a shell, against the same run by the sweep on Ray: the same numbers, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.planning.commands import shell_commands
from raysweep.planning.resources import local_resources
from raysweep.planning.runs import make_runs
from search_spaces import families
from tests.conftest import ROOT, run_sweep
from tests.raysweep.runs import MEASURED


def without_measured(content: Any) -> Any:
    """The content without times, rates and memory, which no two runs share."""
    if isinstance(content, dict):
        return {name: without_measured(value) for name, value in content.items() if not name.endswith(MEASURED)}
    return [without_measured(value) for value in content] if isinstance(content, list) else content


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_workers", "changes"),
    [
        ("3b_cmod_L4_s100", 1, {"train_size": 0.3, "lr_epochs": 2, "epochs": 2}),
        ("4b_cmod_L4_h27_s100", 2, {"train_size": 0.3, "lr_epochs": 1, "epochs": 2}),
        ("only_AD", 1, {"epochs": 0.5, "tta": "none"}),
    ],
)
def test_a_command_in_a_shell_and_the_sweep_give_the_same_numbers(
    tmp_path: Path, name: str, num_workers: int, changes: dict[str, Any]
) -> None:
    family = next(f for f in families() if name in [e.name for e in f.experiments])
    experiment = next(e for e in family.experiments if e.name == name)
    asked = [f"{field}={value}" for field, value in changes.items()]
    swept = run_sweep(
        *("--only", name, "--seeds", "3,4", "--num-workers", num_workers, "--set", *asked),
        *("--results", tmp_path / "results"),
    )
    assert swept.returncode == 0, swept.stdout + swept.stderr
    overrides = {"dataset": "digits", "data_dir": None, **family.embedded, **changes}
    ledger = open_ledger(tmp_path / "results")
    runs = make_runs([experiment], ledger, family=family, overrides=overrides, seeds=[3, 4], num_workers=num_workers)
    script = "\n".join(["set -e", *shell_commands(runs)])
    # Sums over the threads of a process have the order of their number: as many as the sweep gives a worker.
    threads = int(local_resources().per_worker(runs[0], None)["CPU"])
    env = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    shell = subprocess.run(script, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert shell.returncode == 0, shell.stdout + shell.stderr
    by_hand = {}
    for file in (tmp_path / "digits_runs").rglob("results.json"):
        content = json.loads(file.read_bytes())
        by_hand[content["config"]["seed"]] = content
    for run in runs:
        record = ledger.record(run.name)
        assert record
        mine = by_hand[run.config.seed]
        assert without_measured(mine["results"]) == without_measured(record["results"])
        assert without_measured(mine["curves"]) == without_measured(record["curves"])
