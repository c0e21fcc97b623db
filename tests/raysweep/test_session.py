"""One invocation of a sweep, with its processes left out."""

import pytest

from raysweep import plan_runner
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FINISHED
from raysweep.live.status import Status
from raysweep.live.timeleft import TimeEstimate
from raysweep.planning.resources import Resources
from raysweep.planning.rules import Rules
from raysweep.running.placement import ClusterPlacement
from tests.raysweep.live.sweep import RecordingView, planned


@pytest.fixture
def launched(monkeypatch):
    """What is launched, in place of Ray; each launch uses 100 slot seconds."""
    launches = []

    def launch(todo, ledger, placement, rules, status):
        status._estimate()
        launches.append((todo, rules.slot_seconds, status.state().left))
        for run in todo:
            status.ended(run, FINISHED)
        return 100.0

    monkeypatch.setattr("raysweep.running.launcher.launch", launch)
    return launches


def test_forecasts_of_later_rounds_reach_the_live_view(tmp_path, launched):
    first, second = planned("first"), planned("second")
    ledger, placement = open_ledger(tmp_path), ClusterPlacement(Resources(cpus=1, gpus=0), None, 1)
    status = Status(ledger, RecordingView(), slots=1, slots_of=placement.slots_of)
    launcher = plan_runner.Launcher(ledger, placement, Rules(slot_seconds=250.0), status)
    launcher.launch([first], [first], {first.name: (60.0, 50.0, 80.0)})
    launcher.launch([second], [first, second], {second.name: (10.0, 9.0, 12.0)})
    assert [left for _, _, left in launched] == [
        {first.name: TimeEstimate(60.0, 50.0, 80.0)},
        {second.name: TimeEstimate(10.0, 9.0, 12.0)},
    ]
    assert [budget for _, budget, _ in launched] == [250.0, 150.0], "each launch has what the ones before have left"
