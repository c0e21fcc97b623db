"""What a machine or its environment lacks is said in a line before anything is written."""

import contextlib
import os
import tempfile

import pytest

import run_sweep as entry
from raysweep.messages import PlanError
from raysweep.running.requirements import require_environment
from tests.conftest import run

S = ("--group", "depth", "--only", "C", "--set", "epochs=0", "lr_epochs=1", "--results")


def refused(results, **env: str) -> str:
    """The line in which a sweep refuses to start, having written nothing."""
    done = run("run_sweep.py", *S, results, **env)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not results.exists()
    return done.stderr


def test_python_without_docstrings_is_refused_for_a_sweep_alone(tmp_path):
    assert "PYTHONOPTIMIZE=2" in refused(tmp_path / "results", PYTHONOPTIMIZE="2")
    assert run("run_sweep.py", "--list", PYTHONOPTIMIZE="2").returncode == 0


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_temporary_folder_too_long_for_sockets_is_named(tmp_path, name):
    long = tmp_path / ("x" * 60)
    long.mkdir()
    assert f"{name}={long} is too long for the sockets" in refused(tmp_path / "results", **{name: str(long)})


def test_the_longest_temporary_folder_leaves_just_enough_for_a_socket(monkeypatch):
    """Ray refuses paths of more than 107 bytes; here the limit is found by trying."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    for length in range(10, 60):
        monkeypatch.setenv("TMPDIR", f"/tmp/{'x' * (length - 5)}")
        session = f"session_2026-01-01_00-00-00_000000_{os.getpid()}"
        socket = f"{os.environ['TMPDIR']}/ray/{session}/sockets/plasma_store"
        allowed = len(socket) <= 107
        with contextlib.nullcontext() if allowed else pytest.raises(PlanError, match="too long"):
            require_environment(own_cluster=True)
    require_environment(own_cluster=False)


def test_a_temporary_folder_that_takes_no_folders_is_named(tmp_path):
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        assert f"RAY_TMPDIR={file.name}: Ray cannot write" in refused(tmp_path / "results", RAY_TMPDIR=file.name)


def test_a_python_without_ray_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PlanError, match="a sweep needs Ray, which this Python lacks"):
        require_environment(own_cluster=True)


def test_where_ray_does_not_start_no_plan_is_written(tmp_path, monkeypatch, capsys):
    @contextlib.contextmanager
    def not_starting(resources):
        raise PlanError("Ray does not start on this machine (it is tired)")
        yield

    monkeypatch.setattr("raysweep.plan_runner.own_cluster", not_starting)
    with pytest.raises(SystemExit) as ended:
        entry.main([*S, str(tmp_path / "results")])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: Ray does not start on this machine (it is tired)\n"
    left = {file.name for file in (tmp_path / "results").iterdir()}
    assert not left & {"plan.json", "questions.json", "families.json", "records"}


NEEDED = {
    "RAY_TRAIN_V2_ENABLED": ("0", "1"),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": ("1", "0"),
    "RAY_AUTH_MODE": ("disabled", "token"),
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": ("0", "1"),
    "RAY_AIR_NEW_OUTPUT": ("1", "0"),
    "RAY_CHDIR_TO_TRIAL_DIR": ("1", "0"),
    "TUNE_DISABLE_SIGINT_HANDLER": ("0", "1"),
}
"""Variables of Ray, with a value that a user may have set, and the one that a sweep needs."""


def test_variables_that_a_sweep_needs_are_set_and_others_left_to_the_user(tmp_path):
    code = "import os; from raysweep.running import prepare_own_environment as p; p(); print(dict(os.environ))"
    given = {name: value for name, (value, _) in NEEDED.items()}
    given |= {"TUNE_GLOBAL_CHECKPOINT_S": "10", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    seen = eval(run("-c", code, **given).stdout)
    assert {name: seen[name] for name in NEEDED} == {name: needed for name, (_, needed) in NEEDED.items()}
    assert seen["TUNE_GLOBAL_CHECKPOINT_S"] == "10"


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_works_in_an_environment_that_is_set_against_it(tmp_path):
    given = {name: value for name, (value, _) in NEEDED.items()}
    given |= {"RAY_ADDRESS": "127.0.0.1:1", "http_proxy": "http://127.0.0.1:9", "CUDA_VISIBLE_DEVICES": "0"}
    given |= {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "3", "PYTHONOPTIMIZE": "1"}
    done = run("run_sweep.py", *S, tmp_path / "results", **given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
