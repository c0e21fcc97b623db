"""The wheel, installed where nothing of the source tree is, gives a command that does all that run_sweep.py does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder into which the wheel of this tree is installed, without what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    for name in ("raysweep", "search_spaces", "trainables", "analysis"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run_sweep.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    pip(folder, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, tree)
    (wheel,) = folder.glob("raysweep-*.whl")
    shutil.rmtree(tree)
    pip(folder, "install", "--no-deps", "--target", folder / "installed", wheel)
    return folder / "installed"


def pip(folder, *args) -> None:
    run(folder, sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args)


def run(folder, *command, **env) -> str:
    """What a command prints in a folder, from which it must end well."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, **{name: str(value) for name, value in env.items()}},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.ray
def test_the_wheel_lists_sweeps_a_family_of_ones_own_and_reports_from_any_folder(installed, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    shutil.copy(ROOT / "examples" / "breast_cancer.py", away / "my_space.py")
    raysweep, path = installed / "bin" / "raysweep", {"PYTHONPATH": installed}
    where = run(away, sys.executable, "-c", "import run_sweep, raysweep; print(raysweep.__file__)", **path)
    assert Path(where.strip()).parent.parent == installed
    listed = run(away, raysweep, "--list", **path)
    assert listed == run(ROOT, sys.executable, "run_sweep.py", "--list")
    args = (
        "--space",
        "my_space.py",
        "--group",
        "cancer",
        "--seeds",
        "0,1",
        "--set",
        "epochs=2",
        "--results",
        "results",
    )
    swept = run(away, raysweep, *args, **path)
    assert "6 runs of breast_cancer, 0 finished before, 6 to do" in swept
    assert "Does a hidden layer classify more tumours correctly?" in swept
    assert "6 runs of breast_cancer, 6 finished before, 0 to do" in run(away, raysweep, *args, **path)
    run(away, sys.executable, "-m", "analysis", "results", "--out", "report", **path)
    assert (away / "report" / "report.html").read_text().rstrip().endswith("</html>")
