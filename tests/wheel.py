"""Builds the wheel of this tree, and installs it in a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def install_wheel(folder: Path) -> Path:
    """The folder into which the wheel of this tree is installed, without what it depends on."""
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
