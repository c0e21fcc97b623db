"""Where the real data lie, and how tests run the project's commands."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
REAL_DATA = Path(os.environ.get("RAYSWEEP_REAL_DATA", ROOT.parent / "shared" / "data"))


def real_data(name: str) -> Path:
    """The folder of real CIFAR-10 or ImageNet files; skips the test where it does not exist."""
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} (set RAYSWEEP_REAL_DATA)")
    return folder


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`pytest -m gpu` reads the files alone that have such tests: what the others import need not be there."""
    if config.option.markexpr == "gpu" and collection_path.suffix == ".py":
        return "mark.gpu" not in collection_path.read_text(encoding="utf-8") or None
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Each of several processes has a temporary folder whose name is as long as that of a single one, since messages
    with paths are wrapped."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        config.option.basetemp = Path(tempfile.gettempdir(), f"pytest-{worker}-{os.getppid():012d}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What such a process leaves behind goes where all of its tests have passed."""
    if "PYTEST_XDIST_WORKER" in os.environ and exitstatus == 0:
        shutil.rmtree(session.config.option.basetemp, ignore_errors=True)


def pytest_collection_finish() -> None:
    """Ray must not have been imported by the tests' modules: what a cluster of our own sets is read at the import."""
    assert "ray" not in sys.modules, "a test imports Ray at its module's top; import it where it is used"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and the commands they run, leave the user's caches alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def run(*args: object, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `python ARGS` from the project's root and return what it printed."""
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_sweep(*args: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `python run_sweep.py ARGS`."""
    return run("run_sweep.py", *args, timeout=timeout)
