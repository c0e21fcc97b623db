"""The wheel, installed where nothing of the source tree is, gives a command that does all that run_sweep.py does."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.wheel import install_wheel, run


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder into which the wheel of this tree is installed, without what it depends on."""
    return install_wheel(tmp_path_factory.mktemp("wheel"))


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
