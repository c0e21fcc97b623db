"""What TensorBoard shows of reports, and that a sink that fails or hangs does no harm to a sweep."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import DIVERGED, FINISHED
from raysweep.planning.runs import PlannedRun
from raysweep.tracking import followers
from raysweep.tracking.followers import Tracking, fields_of
from raysweep.tracking.tensorboard import EventFiles
from search_spaces import imagenet_scattering
from tests.raysweep.runs import planned
from tests.raysweep.tracking.reported import OTHER, RECORD, RUN, epoch, events, shown, start


def hparams(folder: Path) -> list[HParamsPluginData]:
    return [
        HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for event in events(folder)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "hparams"
    ]


def board(folder: Path) -> Tracking:
    return Tracking([("TensorBoard", lambda: EventFiles(open_ledger(folder)))], fail)


def fail(line: str) -> None:
    raise AssertionError(line)


def test_steps_count_on_from_phase_to_phase_even_if_one_stops_early(tmp_path: Path) -> None:
    tracking = board(tmp_path)
    tracking.report(RUN, start())
    for report in (epoch("head", 1, 50.0), epoch("head", 2, 60.0), epoch("finetune", 1, 70.0)):
        tracking.report(RUN, report)
    tracking.ended(RUN, FINISHED, record=RECORD)
    tracking.close()
    scalars = shown(tmp_path / "tensorboard" / "imagenet" / RUN.name)
    assert scalars["head/val_acc"] == [(1, 50.0), (2, 60.0)]
    assert scalars["finetune/val_acc"] == [(3, 70.0)]
    assert scalars["final/head_acc"] == [(3, 60.0)]
    assert set(scalars) == {
        *(f"{phase}/{name}" for phase in ("head", "finetune") for name in ("train_loss", "val_acc", "lr")),
        *("head/images_per_second", "finetune/images_per_second", "final/head_acc", "final/n_params_total"),
    }


@pytest.mark.parametrize("same_driver", [True, False])
def test_a_run_that_goes_on_writes_to_its_own_folder_without_doubled_points(tmp_path: Path, same_driver: bool) -> None:
    tracking = board(tmp_path)
    tracking.report(RUN, start())
    for report in (epoch("head", 1, 50.0), epoch("head", 2, 60.0), epoch("finetune", 1, 70.0)):
        tracking.report(RUN, report)
    tracking.report(RUN, epoch("finetune", 2, 71.0))  # later than the checkpoint from which the run goes on
    tracking.ended(RUN, "")
    if not same_driver:
        tracking.close()
        tracking = board(tmp_path)
    tracking.report(RUN, start(["finetune", 1, 7], head_epochs=2, head_acc=60.0))
    tracking.report(RUN, epoch("finetune", 2, 72.0))
    tracking.report(RUN, epoch("finetune", 3, 73.0))
    tracking.ended(RUN, FINISHED, record=RECORD)
    tracking.close()
    folder = tmp_path / "tensorboard" / "imagenet" / RUN.name
    assert len(list(folder.iterdir())) == 2
    scalars = shown(folder)
    assert scalars["head/val_acc"] == [(1, 50.0), (2, 60.0)]
    assert scalars["finetune/val_acc"] == [(3, 70.0), (4, 72.0), (5, 73.0)]
    assert scalars["final/head_acc"] == [(5, 60.0)]


def test_a_run_that_starts_over_hides_what_it_wrote_before(tmp_path: Path) -> None:
    tracking = board(tmp_path)
    for acc in (50.0, 51.0):
        tracking.report(RUN, start())
        tracking.report(RUN, epoch("head", 1, acc))
        tracking.ended(RUN, "")
    tracking.close()
    assert shown(tmp_path / "tensorboard" / "imagenet" / RUN.name)["head/val_acc"] == [(1, 51.0)]


def test_results_found_without_training_are_added_behind_the_curves_that_are_there(tmp_path: Path) -> None:
    tracking = board(tmp_path)
    tracking.report(RUN, start())
    for report in (epoch("head", 1, 50.0), epoch("head", 2, 60.0), epoch("finetune", 1, 70.0)):
        tracking.report(RUN, report)
    tracking.close()
    tracking = board(tmp_path)
    tracking.ended(RUN, FINISHED, record=RECORD)
    tracking.close()
    scalars = shown(tmp_path / "tensorboard" / "imagenet" / RUN.name)
    assert scalars["finetune/val_acc"] == [(3, 70.0)]
    assert scalars["final/head_acc"] == [(3, 60.0)]


def test_hparams_are_the_fields_that_can_change_numbers(tmp_path: Path) -> None:
    tracking = board(tmp_path)
    for run in (RUN, OTHER):
        tracking.report(run, start())
        tracking.ended(run, FINISHED if run is RUN else DIVERGED, record=RECORD)
    tracking.close()
    data = hparams(tmp_path / "tensorboard" / "imagenet" / RUN.name)
    # TensorBoard takes the columns of all runs from the first `experiment` it finds, so there must be none.
    assert [d.WhichOneof("data") for d in data] == ["session_start_info", "session_end_info"]
    fields = data[0].session_start_info.hparams
    assert fields["experiment"].string_value == "C"
    assert (fields["L"].number_value, fields["num_workers"].number_value) == (4, 8)
    assert fields["mixing_horizon"].string_value == "none"
    assert fields["lowpass_last"].bool_value
    assert not {"data_dir", "save_dir", "print_freq", "workers", "batch_parts"} & set(fields)
    (other,) = hparams(tmp_path / "tensorboard" / "cifar10" / OTHER.name)
    assert other.session_start_info.hparams["train_size"].number_value == 0.25
    assert set(fields_of(OTHER)) == set(fields)


class RecordingSink:
    """A sink that keeps the calls it gets; `disturb` is called before each, and may raise or block."""

    label = "RecordingSink"

    def __init__(self, disturb: Callable[[str], None] = lambda what: None) -> None:
        self.calls: list[tuple[str, str]] = []
        self._disturb = disturb

    def start(self, run: PlannedRun, step: int, fields: Mapping[str, Any]) -> None:
        self._record("start", run)

    def metrics(self, run: PlannedRun, step: int, values: Mapping[str, float]) -> None:
        self._record("metrics", run)

    def end(self, run: PlannedRun, status: str) -> None:
        self._record("end", run)

    def close(self) -> None:
        self.calls.append(("close", ""))

    def _record(self, what: str, run: PlannedRun) -> None:
        self._disturb(what)
        self.calls.append((what, run.name))


def a_run(tracking: Tracking, epochs: int = 2) -> None:
    """Report a whole run."""
    tracking.report(RUN, start())
    for number in range(1, epochs + 1):
        tracking.report(RUN, epoch("head", number, 50.0))
    tracking.ended(RUN, FINISHED, record=RECORD)


def test_a_sink_that_fails_is_reported_once_and_hinders_no_other() -> None:
    def disturb(what: str) -> None:
        if what == "metrics":
            raise ConnectionError("the server has gone")

    lines: list[str] = []
    failing, other = RecordingSink(disturb), RecordingSink()
    tracking = Tracking([("W&B", lambda: failing), ("TensorBoard", lambda: other)], lines.append)
    a_run(tracking)
    tracking.close()
    assert lines == [
        "W&B does not get everything (ConnectionError: the server has gone); the runs go on, their results are recorded"
    ]
    assert [what for what, _ in failing.calls] == ["start", "end", "close"]
    assert [what for what, _ in other.calls] == ["start", "metrics", "metrics", "metrics", "end", "close"]


def test_a_sink_that_cannot_be_made_is_reported_once() -> None:
    def make() -> RecordingSink:
        raise PermissionError("no disk for you")

    lines: list[str] = []
    tracking = Tracking([("TensorBoard", make)], lines.append)
    for _ in range(3):
        a_run(tracking)
    tracking.close()
    assert len(lines) == 1
    assert "no disk for you" in lines[0]


def test_a_sink_that_hangs_delays_no_report_and_the_end_only_for_a_limited_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followers, "CLOSE_TIMEOUT", 0.3)
    monkeypatch.setattr(followers, "MAX_QUEUED_CALLS", 20)
    lines: list[str] = []
    release = threading.Event()
    hanging, other = RecordingSink(lambda what: bool(release.wait(20)) and None), RecordingSink()
    tracking = Tracking([("MLflow", lambda: hanging), ("TensorBoard", lambda: other)], lines.append)
    started = time.monotonic()
    tracking.report(RUN, start())
    for number in range(1, 41):
        tracking.report(RUN, epoch("head", number, 50.0))
        time.sleep(0.01)
    tracking.close()
    release.set()
    assert time.monotonic() - started < 5
    assert lines == ["MLflow does not get everything (it does not keep up); the runs go on, their results are recorded"]
    assert len(other.calls) == 1 + 40 + 1


def test_a_disk_that_cannot_be_written_to_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way of a folder")
    lines: list[str] = []
    tracking = Tracking([("TensorBoard", lambda: EventFiles(open_ledger(tmp_path)))], lines.append)
    a_run(tracking)
    tracking.close()
    (line,) = lines
    assert line.startswith("TensorBoard does not get everything (")


def test_no_file_stays_open_for_runs_that_have_ended(tmp_path: Path) -> None:
    tracking = board(tmp_path)
    threads = threading.active_count()
    for seed in range(30):
        run = planned(imagenet_scattering.EXPERIMENTS[0], seed=seed)
        tracking.report(run, start())
        tracking.ended(run, FINISHED, record=RECORD)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(list((tmp_path / "tensorboard").glob("*/*/*"))) < 30:
        time.sleep(0.05)
    assert threading.active_count() <= threads
    tracking.close()
    held = [link.resolve() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert not [file for file in held if tmp_path in file.parents]


def test_runs_on_prepared_data_have_a_folder_of_their_own(tmp_path: Path) -> None:
    run = replace(RUN, facts={**RUN.facts, "prepared": "short side 400, quality 95"})
    tracking = board(tmp_path)
    tracking.report(run, start())
    tracking.close()
    assert [folder.name for folder in (tmp_path / "tensorboard").iterdir()] == ["imagenet (short side 400, quality 95)"]
