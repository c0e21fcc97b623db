"""What MLflow receives through Ray's own callback, and what happens if it cannot be reached."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED
from raysweep.messages import PlanError
from raysweep.running.cluster import prepare_own_environment
from raysweep.tracking import services
from raysweep.tracking.followers import Tracking, fields_of
from raysweep.tracking.services import Destination, reach
from tests.conftest import ROOT
from tests.raysweep.tracking.reported import OTHER, RECORD, RUN, calls, epoch, start

MLFLOW = Destination(kind="mlflow", where="http://server")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that stands for the server, while fakes of the services' packages are imported."""
    prepare_own_environment()  # before Ray's callbacks import Ray, for the clusters of later tests
    monkeypatch.setenv("FAKE_SERVICE", str(tmp_path))
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "services"))
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT", "WANDB_SILENT"):
        monkeypatch.setenv(name, "1")
    for name in ("WANDB_API_KEY", "WANDB_MODE", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mlflow", "wandb")]:
        del sys.modules[name]


def tracking_to(server: Path, lines: list[str] | None = None) -> Tracking:
    ledger = open_ledger(server / "results")
    return Tracking([("MLflow", lambda: MLFLOW.open(ledger))], pytest.fail if lines is None else lines.append)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_mlflow_sees_the_run_by_name_its_fields_and_its_metrics(server: Path) -> None:
    tracking = tracking_to(server)
    for run in (RUN, OTHER):
        tracking.report(run, start())
        tracking.report(run, epoch("head", 1, 50.0))
    tracking.report(RUN, epoch("finetune", 1, 70.0))
    tracking.ended(RUN, FINISHED, record=RECORD)
    tracking.ended(OTHER, FAILED)
    tracking.close()
    created = calls(server, "create_run")
    assert [(call["name"], call["experiment"]) for call in created] == [(run.name, "raysweep") for run in (RUN, OTHER)]
    ended = calls(server, "set_terminated")
    assert [call["status"] for call in ended] == ["FINISHED", "FAILED"]
    id = ended[0]["id"]
    params = {call["key"]: call["value"] for call in calls(server, "log_param") if call["id"] == id}
    assert params == {name: str(value) for name, value in fields_of(RUN).items()}
    metrics = [(call["key"], call["value"], call["step"]) for call in calls(server, "log_metric") if call["id"] == id]
    assert {
        *(("head/val_acc", 50.0, 1), ("finetune/val_acc", 70.0, 2), ("final/head_acc", 60.0, 2)),
    } <= set(metrics)


@pytest.mark.parametrize("same_driver", [True, False])
def test_a_run_that_goes_on_does_so_in_the_same_run_of_mlflow(server: Path, same_driver: bool) -> None:
    tracking = tracking_to(server)
    tracking.report(RUN, start())
    tracking.report(RUN, epoch("head", 1, 50.0))
    tracking.ended(RUN, "")
    if not same_driver:
        tracking.close()
        tracking = tracking_to(server)
    tracking.report(RUN, start(["head", 1, 0]))
    tracking.report(RUN, epoch("head", 2, 60.0))
    tracking.ended(RUN, FINISHED, record=RECORD)
    tracking.close()
    assert len(calls(server, "create_run")) == 1
    accuracies = [c for c in calls(server, "log_metric") if c["key"] == "head/val_acc"]
    assert [(c["value"], c["step"]) for c in accuracies] == [(50.0, 1), (60.0, 2)]
    assert len({c["id"] for c in accuracies}) == 1
    assert calls(server, "set_terminated")[-1]["status"] == "FINISHED"


def test_a_run_that_starts_over_is_another_run_of_mlflow(server: Path) -> None:
    tracking = tracking_to(server)
    for _ in range(2):
        tracking.report(RUN, start())
        tracking.ended(RUN, "")
    tracking.close()
    assert len(calls(server, "create_run")) == 2


def test_a_server_that_goes_away_is_reported_once_and_used_again_when_it_is_back(server: Path) -> None:
    lines: list[str] = []
    tracking = tracking_to(server, lines)
    tracking.report(OTHER, start())
    wait_until(lambda: calls(server, "create_run"))
    (server / "down").touch()
    tracking.report(RUN, start())
    tracking.report(RUN, epoch("head", 1, 50.0))
    wait_until(lambda: lines)
    time.sleep(0.3)
    (server / "down").unlink()
    tracking.report(RUN, epoch("head", 2, 60.0))
    tracking.ended(RUN, FINISHED, record=RECORD)
    tracking.close()
    assert len(lines) == 1
    assert lines[0].startswith("MLflow does not get everything (connection refused)")
    assert [call["name"] for call in calls(server, "create_run")] == [OTHER.name, RUN.name]
    assert [c["value"] for c in calls(server, "log_metric") if c["key"] == "head/val_acc"] == [60.0]


def test_a_server_that_answers_is_accepted(server: Path) -> None:
    assert reach(["mlflow=http://server"]) == [MLFLOW]
    assert len(calls(server, "search_experiments")) == 1


def test_a_service_that_cannot_be_reached_is_an_error_of_one_line_before_anything_starts(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlanError, match=r"^--track mlfow: unknown service 'mlfow'; did you mean 'mlflow'\?$"):
        reach(["mlfow"])
    message = r"^--track: MLflow cannot be reached at file:no \(file:no is no address of a server\)$"
    with pytest.raises(PlanError, match=message):
        reach(["mlflow=file:no"])
    (server / "down").touch()
    with pytest.raises(PlanError, match=r"^--track: MLflow cannot be reached \(connection refused\)$"):
        reach(["mlflow"])
    with pytest.raises(PlanError, match=r"^--track: W&B cannot be reached \(no API key: run `wandb login` or set"):
        reach(["wandb"])
    monkeypatch.setenv("WANDB_API_KEY", "wrong")
    with pytest.raises(PlanError, match=r"^--track: W&B cannot be reached at me/p \(ValueError: Unable to fetch user"):
        reach(["wandb=me/p"])
    monkeypatch.setenv("WANDB_API_KEY", "right")
    assert reach(["wandb=me/p"]) == [Destination(kind="wandb", where="me/p")]


def test_both_services_can_be_named_but_each_only_once(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "right")
    assert [destination.kind for destination in reach(["mlflow=http://server", "wandb"])] == ["mlflow", "wandb"]
    with pytest.raises(PlanError, match=r"^--track names mlflow 2 times$"):
        reach(["mlflow=http://server", "mlflow"])


def test_a_server_that_never_answers_is_given_up(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow  # type: ignore[import-not-found]

    monkeypatch.setattr(services, "REACHED_WITHIN", 0.2)
    monkeypatch.setattr(mlflow, "search_experiments", lambda max_results: time.sleep(3))
    with pytest.raises(PlanError, match=r"^--track: MLflow cannot be reached \(no answer in 0\.2 s\)$"):
        reach(["mlflow"])


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_named_with_how_to_install_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PlanError, match=rf"^--track {name} needs the package {name}: pip install 'raysweep\[{name}\]'"):
        reach([f"{name}=somewhere"])
