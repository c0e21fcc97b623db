"""Users without a home that can be written to, as in containers that run under some user id."""

import os
import shutil
import stat
import subprocess
import sys

import pytest

from raysweep.cache import cache_folder
from raysweep.messages import PlanError
from raysweep.paths import expanded
from raysweep.running.token import prepare_token, where_the_token_is
from tests.conftest import ROOT, run_sweep
from trainables.data.cache import index_folder

STRANGER = 54321
"""A user id that no user of this machine has."""
AS_STRANGER = (
    *("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)
S = ("--group", "depth", "--only", "C", "--set", "epochs=0", "lr_epochs=1")

root = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root, and setpriv, to become another user"
)


@pytest.fixture
def folder(tmp_path):
    """A folder that belongs to the stranger, below folders that everybody may enter."""
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | stat.S_IXGRP | stat.S_IXOTH)
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, STRANGER, STRANGER)
    return own


def as_stranger(
    folder, *args: object, home: str | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGS` as a user whom nobody knows, with the temporary folder and the current one in `folder`.

    The stranger may read everything, since Python itself may lie in somebody's home.
    """
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ}
    environment = kept | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "RAY_TMPDIR": "/tmp"}
    return subprocess.run(
        [*AS_STRANGER, sys.executable, *map(str, args)],
        cwd=folder,
        env=environment | ({} if home is None else {"HOME": home}),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


FOLDERS = """
from raysweep.cache import cache_folder
from trainables.data.cache import index_folder
assert cache_folder() == index_folder()
print(cache_folder())
"""


@root
@pytest.mark.parametrize("home", [None, "/", "/dev/null/home", "{folder}/read_only", "{folder}/home"])
def test_caches_are_in_the_temporary_folder_where_the_home_takes_none(folder, home):
    for name, mode in (("read_only", 0o555), ("home", 0o755)):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
        os.chown(folder / name, STRANGER, STRANGER)
    home = home and home.format(folder=folder)
    done = as_stranger(folder, "-c", FOLDERS, home=home)
    expected = folder / "home/.cache/raysweep" if home == str(folder / "home") else folder / f"raysweep-{STRANGER}"
    assert (done.stdout, done.stderr) == (f"{expected}\n", "")


def test_another_users_temporary_folder_is_no_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("RAYSWEEP_CACHE")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = tmp_path / f"raysweep-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    assert index_folder() is None
    from raysweep import cache

    cache._temporary_folder.cache_clear()
    chosen = cache_folder()
    cache._temporary_folder.cache_clear()
    assert chosen != own
    assert chosen.parent == tmp_path
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o700


@root
def test_the_token_stays_in_memory_where_the_home_takes_none(folder):
    code = "from raysweep.running.token import *; prepare_token(); print(where_the_token_is(), len(os.environ[TOKEN]))"
    for home in (None, "/", "/dev/null/home"):
        done = as_stranger(folder, "-c", code, home=home)
        assert done.stdout == "token: the value of RAY_AUTH_TOKEN; set it to choose one 64\n", done.stderr
    (folder / "home").mkdir()
    os.chown(folder / "home", STRANGER, STRANGER)
    done = as_stranger(folder, "-c", code.replace("len(os.environ[TOKEN])", "''"), home=str(folder / "home"))
    assert done.stdout == "token: `ray get-auth-token` \n"
    assert stat.S_IMODE((folder / "home/.ray/auth_token").stat().st_mode) == 0o600


def test_a_token_file_of_the_users_choice_that_cannot_be_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "file" / "token"))
    with pytest.raises(PlanError, match=r"^RAY_AUTH_TOKEN_PATH=.*/file/token: Ray's token cannot be kept there"):
        prepare_token()
    assert "get-auth-token" in where_the_token_is()


@root
def test_a_plan_needs_no_home(folder):
    done = as_stranger(folder, ROOT / "run_sweep.py", *S, "--results", folder / "results", "--plan")
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "images").mkdir()
    for args, start in (
        (["--data-dir", "~/images", "--dataset", "cifar10", "--group", "cifar"], "error: data folder ~/images cannot"),
        ([*S, "--results", "~/results"], "error: the results folder ~/results cannot"),
    ):
        done = as_stranger(folder, ROOT / "run_sweep.py", *args, "--plan")
        assert done.returncode == 2
        assert done.stderr.startswith(start)
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "flags",
    [
        ("--group", "cifar", "--data-dir", "~nobody-here/data", "--plan"),
        ("--group", "cifar", "--data-dir", "~nobody-here/data", "--results", "/dev/null/results"),
        (*S, "--results", "~nobody-here/results", "--plan"),
        ("--space", "~nobody-here/space.py", "--list"),
        ("--status", "--results", "~nobody-here/results"),
    ],
)
def test_a_home_of_nobody_is_refused_in_a_line(flags):
    done = run_sweep(*flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "~nobody-here" in done.stderr


def test_paths_are_made_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert expanded("~/data") == expanded("data") == tmp_path / "data"


@root
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("home", [None, "/"])
def test_a_sweep_of_an_unknown_user_without_a_home_is_done(folder, home):
    flags = (*S, "--slots", "1", "--results", folder / "results")
    done = as_stranger(folder, ROOT / "run_sweep.py", *flags, home=home, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "1 to do on 1 CPU(s)" in done.stdout
    assert "token: the value of RAY_AUTH_TOKEN" in done.stdout
    assert len(list((folder / "results" / "records").iterdir())) == 1
