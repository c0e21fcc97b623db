"""The parts of tracking that need Ray: W&B through Ray's own callback, and the gauges that Ray exports."""

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FINISHED
from raysweep.planning.resources import Resources
from raysweep.running.cluster import own_cluster
from raysweep.tracking.followers import Tracking, fields_of
from raysweep.tracking.services import Destination
from tests.conftest import ROOT
from tests.raysweep.tracking.reported import OTHER, RECORD, RUN, calls, epoch, start

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster whose processes import a fake wandb, for which this folder is the server."""
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        packages = str(ROOT / "tests" / "services")
        patch.syspath_prepend(packages)
        patch.setenv("PYTHONPATH", f"{packages}:{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("FAKE_SERVICE", str(folder))
        patch.setenv("WANDB_API_KEY", "right")
        patch.setenv("RAY_metrics_report_interval_ms", "1000")
        sys.modules.pop("ray.air.integrations.wandb", None)
        with own_cluster(Resources(cpus=2, gpus=0)):
            yield folder
        for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
            del sys.modules[name]


def exported(port: int) -> dict[tuple[str, str], float]:
    """The gauges of raysweep at Ray's Prometheus endpoint, by name and by their phase or state."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith("ray_raysweep_")]
    found = {}
    for line in lines:
        name, labels = line.removeprefix("ray_raysweep_").split("{")
        labels, value = labels.split("} ")
        pairs = dict(pair.split("=") for pair in labels.split(","))
        which = pairs.get("phase") or pairs["state"]
        if "phase" in pairs:
            run_labels = {name: pairs[name].strip('"') for name in ("run", "experiment", "seed", "group")}
            assert run_labels == {"run": RUN.name, "experiment": "C", "seed": "42", "group": "g"}
        found[name, which.strip('"')] = float(value)
    return found


def test_gauges_are_exported_for_prometheus(server: Path) -> None:
    import ray

    from raysweep.tracking.gauges import Gauges

    gauges = Gauges()
    gauges.report(RUN, start())
    gauges.report(RUN, epoch("head", 20, 61.25))
    gauges.report(RUN, epoch("finetune", 3, 70.5))
    gauges.runs(done=4, running=1, waiting=2)
    expected = {
        ("images_per_second", "head"): 0.0,
        ("images_per_second", "finetune"): 100.0,
        ("epoch", "head"): 20.0,
        ("epoch", "finetune"): 3.0,
        ("accuracy", "head"): 61.25,
        ("accuracy", "finetune"): 70.5,
        ("runs", "done"): 4.0,
        ("runs", "running"): 1.0,
        ("runs", "waiting"): 2.0,
    }
    port = ray.nodes()[0]["MetricsExportPort"]
    deadline = time.monotonic() + 40
    while exported(port) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert exported(port) == expected
    gauges.ended(RUN, FINISHED, record={"results": {"final_acc": 71.0}})
    gauges.runs(done=5, running=0, waiting=2)
    expected |= {("images_per_second", "finetune"): 0.0, ("accuracy", "final"): 71.0}
    expected |= {("runs", "done"): 5.0, ("runs", "running"): 0.0}
    while exported(port) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert exported(port) == expected


def test_wandb_sees_the_run_by_name_its_fields_and_its_metrics(server: Path) -> None:
    ledger, wandb = open_ledger(server / "results"), Destination(kind="wandb", where="me/mine")
    lines: list[str] = []
    tracking = Tracking([("W&B", lambda: wandb.open(ledger))], lines.append)
    for run in (RUN, OTHER):
        tracking.report(run, start())
        tracking.report(run, epoch("head", 1, 50.0))
    tracking.ended(RUN, FINISHED, record=RECORD)
    tracking.close()
    assert lines == []
    started = {call["name"]: call for call in calls(server, "init")}
    assert set(started) == {RUN.name, OTHER.name}
    mine = started[RUN.name]
    assert (mine["project"], mine["entity"], mine["group"], mine["resume"]) == ("mine", "me", "C", "allow")
    assert mine["config"] == fields_of(RUN)
    logged = [call for call in calls(server, "log") if call["pid"] == mine["pid"]]
    assert [(call["step"], call["values"].get("head/val_acc")) for call in logged] == [(1, 50.0), (1, None)]
    assert logged[1]["values"]["final/head_acc"] == 60.0
    assert len(calls(server, "finish")) == 2
    tracking = Tracking([("W&B", lambda: wandb.open(ledger))], lines.append)
    tracking.report(OTHER, start(["head", 1, 0]))
    tracking.close()
    assert [call["id"] for call in calls(server, "init") if call["name"] == OTHER.name] == [
        started[OTHER.name]["id"]
    ] * 2
