"""Results are read where nothing can be trained: with what reads them alone, from a checkout and from the wheel."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.analysis.original_files import SAMPLE, write_files
from tests.conftest import ROOT
from tests.wheel import install_wheel

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ABSENT = ("torch", "torchvision", "ray", "tyro", "sklearn", "simplejpeg", "tensorboardX")


def test_what_reading_takes_is_part_of_what_training_takes():
    assert {*PROJECT["dependency-groups"]["analysis"]} < {*PROJECT["project"]["dependencies"]}


def test_the_documentation_names_all_that_reading_takes():
    text = (ROOT / "docs" / "answers.md").read_text()
    named = set(re.search(r"`pip install (pandas [\w ]+)`", text)[1].split())
    from analysis.__main__ import NEEDED

    assert named == {*NEEDED.split()}
    taken = {re.match(r"[\w-]+", one)[0] for one in PROJECT["dependency-groups"]["analysis"]}
    assert named | {"fsspec"} == taken


def test_a_package_that_is_missing_is_said_in_a_line_and_how_to_get_it(tmp_path):
    """Python alone, without any package (-S: no site-packages)."""
    (tmp_path / "results" / "records").mkdir(parents=True)
    for args, package in (
        (("-m", "analysis", tmp_path / "results"), "pandas"),
        (("run_sweep.py", "--group", "depth", "--plan"), "rich"),
    ):
        done = without_packages(*args)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {package} is not installed here; ")
        assert "`pip install " in done.stderr
        assert done.stderr.count("\n") == 1
    listed = without_packages("run_sweep.py", "--list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "--group depth" in listed.stdout


def without_packages(*args):
    command = [sys.executable, "-S", *map(str, args)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder into which the wheel of this tree is installed, without what it depends on."""
    return install_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=["3.11", "3.12", "3.13"])
def python(request, tmp_path_factory) -> Path:
    """A Python with the packages of the group `analysis` alone; skips where there is no such Python."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = sys.executable if request.param == own else shutil.which(f"python{request.param}")
    if not base or run(ROOT, base, "-c", "").returncode:
        pytest.skip(f"no python{request.param} on this machine")
    folder = tmp_path_factory.mktemp("reading")
    made = run(folder, base, "-m", "venv", folder / "venv")
    assert made.returncode == 0, made.stderr
    found = folder / "venv" / "bin" / "python"
    needed = PROJECT["dependency-groups"]["analysis"]
    got = run(folder, found, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *needed)
    if got.returncode:
        pytest.skip(f"the packages could not be had: {got.stderr.strip().splitlines()[-1]}")
    return found


def run(folder, *command, **env):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**kept, **{name: str(value) for name, value in env.items()}},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("from_wheel", [False, True], ids=["checkout", "wheel"])
def test_results_are_imported_read_tabled_reported_and_noted_without_torch_and_ray(
    python, installed, tmp_path, from_wheel
):
    path = {"PYTHONPATH": installed if from_wheel else ROOT}
    away = tmp_path / "away"
    away.mkdir()
    write_files(SAMPLE, away / "files")

    def done(*args, code=0):
        ended = run(away, python, *args, **path)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended

    absent = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    assert done("-c", absent).stdout == "[]\n"
    where = done("-c", "import analysis; print(analysis.__file__)").stdout
    assert Path(where).is_relative_to(path["PYTHONPATH"])
    assert "12 imported" in done("-m", "analysis", "import", "results", "files").stdout
    assert "Do wavelets help 3b_cmod_L4 at 10 %" in done("-m", "analysis", "results").stdout
    assert "left out" in done("-m", "analysis", "note", "results", "3b_cmod_L4_s10-s42", "odd", "--exclude").stdout
    assert "@software{raysweep" in done("-m", "analysis", "results", "--cite").stdout
    done("-m", "analysis", "results", "--out", "report")
    assert (away / "report" / "report.html").read_text().rstrip().endswith("</html>")
    assert list((away / "report" / "plots").glob("*.png"))
    frame = "import raysweep; print(len(raysweep.load_results('results')))"
    assert done("-c", frame).stdout == "12\n"
    notebook = (
        "from analysis.reading.results import Results; from analysis.notebook import answers, plots, tables; "
        "r = Results.read('results'); print(len(answers(r)), 'summary' in tables(r), 'curves' in plots(r))"
    )
    assert done("-c", notebook).stdout.endswith("True True\n")
    assert "--group depth" in done("-m", "run_sweep", "--list").stdout
    for args, package in ((("--plan",), "tyro"), ((), "Ray")):
        refused = done("-m", "run_sweep", "--group", "depth", *args, "--set", "epochs=0", code=2)
        assert refused.stderr.count("\n") == 1
        assert package in refused.stderr
