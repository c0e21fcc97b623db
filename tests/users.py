"""Two users of one group, as whom tests run commands; only root can be both."""

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conftest import ROOT

GROUP = 65500


@dataclass(frozen=True)
class User:
    """A user of the group, with a umask, and a home below a folder that all may enter."""

    uid: int
    umask: int
    home: Path
    python: str = sys.executable

    def run(self, *args: object, timeout: float = 300, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run `python ARGS` as this user."""
        return subprocess.run(
            [*self._become, self.python, *map(str, args)],
            cwd=cwd,
            env={
                **os.environ,
                **{"HOME": str(self.home), "RAYSWEEP_CACHE": str(self.home / "cache")},
                **{"PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}", "PYTHONDONTWRITEBYTECODE": "1"},
            },
            umask=self.umask,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @property
    def _become(self) -> list[str]:
        ids = f"{self.uid}"
        return ["setpriv", f"--reuid={ids}", f"--regid={ids}", f"--groups={GROUP}"]


@dataclass(frozen=True)
class Users:
    """Alice, who lets nobody read her files unless she says so, Bob, and a folder for both."""

    alice: User
    bob: User
    folder: Path

    def results(self, mode: int) -> Path:
        """A results folder of the group."""
        made = self.folder / "results"
        made.mkdir()
        os.chown(made, 0, GROUP)
        made.chmod(mode)
        return made


def two_users() -> Iterator[Users]:
    """Yield them; skips the test where there cannot be any."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("being two users takes root, and setpriv")
    folder = Path(tempfile.mkdtemp(prefix="two-users-"))  # pytest's own folders are closed to others
    try:
        folder.chmod(0o755)
        users = []
        for name, uid, umask in (("alice", 65501, 0o077), ("bob", 65502, 0o022)):
            home = folder / name
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
            users.append(User(uid=uid, umask=umask, home=home))
        python = _python_of(users[1])
        alice, bob = (replace(user, python=python) for user in users)
        yield Users(alice=alice, bob=bob, folder=folder)
    finally:
        shutil.rmtree(folder)


def _python_of(user: User) -> str:
    """A Python that a user can run and that can run itself: this one, or the system's of the same version.

    Skips the test where there is none, such as where this one lies in root's home.
    """
    script = (
        "import pandas, raysweep.ledger.records, subprocess as s, sys; s.run([sys.executable, '-c', ''], check=True)"
    )
    why = ""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            tried = replace(user, python=python).run("-c", script)
        except OSError as error:
            why = str(error)
        else:
            if not tried.returncode:
                return python
            why = tried.stderr.strip().splitlines()[-1]
    pytest.skip(f"other users cannot run this Python ({why})")


def closed(folder: Path) -> list[str]:
    """What lies in a shared folder and is not open to its group; within RESULTS/ray each sweep has files of its own."""
    wrong = []
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name.startswith("ray/") and name not in ("ray/gates", "ray/train"):
            continue
        status = path.lstat()
        needed = stat.S_IRGRP | stat.S_IWGRP | (stat.S_IXGRP | stat.S_ISGID if path.is_dir() else 0)
        if status.st_gid != folder.stat().st_gid or status.st_mode & needed != needed:
            wrong.append(f"{name}: {stat.filemode(status.st_mode)}, group {status.st_gid}")
    return wrong
