"""Keeps a copy of the code of a sweep in its results folder, from which all processes of the sweep import.

RESULTS/code/HASH/                 the project's Python files, and what else its packages hold
RESULTS/code/HASH/space/           the file of --space, and the modules beside it that it had imported
RESULTS/code/HASH/about.json       the git revision that the code was taken from, and whether it was changed since
RESULTS/code/HASH/REVISION.patch   what was changed since

HASH is that of the names and contents of the files. It tells which code has computed a number, and takes no part in the
keys of runs.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from raysweep.ledger.durable import make_folder
from raysweep.ledger.sharing import open_to_group
from raysweep.ledger.store import LedgerError, Store
from raysweep.modules import Loaded, loaded
from raysweep.paths import expanded

ABOUT, SPACE = "about.json", "space"
LARGEST = 2**20
"""Files of packages that are no Python code are kept up to this number of bytes."""

Files = Mapping[str, bytes]
"""Contents by name, which has / between its parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """The code that computes the numbers of a run."""

    hash: str
    revision: str | None
    """The git revision, with a + where files were changed since; None outside of a repository."""
    patch: str | None
    """The file of the results that holds what was changed since the revision; None if nothing was."""
    folder: str
    """The copy on the driver's machine."""

    def provenance(self) -> dict[str, str | None]:
        """What records say of the code."""
        return {"code": self.hash, "revision": self.revision, "patch": self.patch}


def keep_code(store: Store, space: str | None) -> Code:
    """Leave a copy of the project's code, and of the file of --space, in a results folder, if it is not there yet."""
    project = loaded()
    files = _files_of(project, space)
    digest = _hash_of(files)
    name = f"code/{digest}"
    revision, patch = _revision(project.root)
    folder = store.folder / name
    store.fetch(f"{name}/")
    if not _holds(folder, files):
        _write(folder, {**files, ABOUT: json.dumps({"revision": revision}).encode()})
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda one: store.share(f"{name}/{one}"), (*files, ABOUT)))
    named = None
    if patch is not None:
        named = f"{name}/{(revision or '').rstrip('+')}.patch"
        if store.get(named) != patch:
            store.put(named, patch)
    return Code(hash=digest, revision=revision, patch=named, folder=str(folder))


def hash_of_code(space: str | None) -> str:
    """The hash under which `keep_code` would leave a copy."""
    return _hash_of(_files_of(loaded(), space))


def fetch_code(store: Store, digest: str) -> Path:
    """The folder of a copy on this machine. Raises LedgerError if there is none, or if it was changed."""
    name = f"code/{digest}"
    store.fetch(f"{name}/")
    folder = store.folder / name
    if not folder.is_dir():
        raise LedgerError(f"{store.location}/{name} is not there: the code was not kept")
    if _hash_of(_all_files(folder)) != digest:
        raise LedgerError(f"{store.location}/{name} was changed since a sweep has left it there")
    return folder


def _files_of(project: Loaded, space: str | None) -> Files:
    """The files of the project, and the file of --space with the modules of its folder that it has imported."""
    if not space:
        return _files_of_project(project)
    folder = expanded(space).parent
    beside = {f"{SPACE}/{name}": (folder / name).read_bytes() for name in project.files_in(folder)}
    return {**_files_of_project(project), **beside}


def _files_of_project(project: Loaded) -> Files:
    """The files of the project: of a copy as they are, else those that git lists, else those of its packages."""
    root = project.root
    if (root / ABOUT).is_file():
        return {name: content for name, content in _all_files(root).items() if not name.startswith(f"{SPACE}/")}
    listed = _listed_by_git(root)
    names = {*listed, *project.files_in(root)} if listed else {*_of_packages(root)}
    packages = {str(PurePosixPath(name).parent) for name in names if name.endswith("/__init__.py")}
    files = {}
    for name in names:
        if name.endswith(".py") or (str(PurePosixPath(name).parent) in packages and _is_small(root / name)):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # git lists what was removed, too
                files[name] = (root / name).read_bytes()
    return files


def _listed_by_git(root: Path) -> list[str]:
    """The files below a folder that git tracks or does not ignore; empty outside of a repository."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [os.fsdecode(name) for name in listed.split(b"\0") if name] if listed else []


def _of_packages(root: Path) -> Iterable[str]:
    """The files of the project's packages, as an installed distribution lists them or as they lie in a folder."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        listed = importlib.metadata.distribution("raysweep").files or []
        names = [str(name) for name in listed if Path(str(name.locate())).is_file()]
        if "raysweep/__init__.py" in names:
            return [name for name in names if not _is_by_product(name) and ".dist-info/" not in name]
    tops = [*root.glob("*.py"), *(file.parent for file in root.glob("*/__init__.py"))]
    files = [file for top in tops for file in ([top] if top.is_file() else top.rglob("*")) if file.is_file()]
    names = [file.relative_to(root).as_posix() for file in files]
    return [name for name in names if not _is_by_product(name)]


def _all_files(folder: Path) -> Files:
    """The files of a copy that take part in its hash."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    told = [name for name in files if name == ABOUT or ("/" not in name and name.endswith(".patch"))]
    return {name: file.read_bytes() for name, file in files.items() if name not in told and not _is_by_product(name)}


def _is_by_product(name: str) -> bool:
    """Whether a file is what Python itself leaves."""
    return "__pycache__" in name.split("/")


def _is_small(file: Path) -> bool:
    return file.is_file() and file.stat().st_size <= LARGEST


def _hash_of(files: Files) -> str:
    """16 hexadecimal digits that are equal for equal names and contents."""
    lines = (f"{hashlib.sha256(files[name]).hexdigest()} {name}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def _holds(folder: Path, files: Files) -> bool:
    """Whether a copy is there, whole and unchanged."""
    return (folder / ABOUT).is_file() and _all_files(folder) == files


def _write(folder: Path, files: Files) -> None:
    """Make a copy, which appears as a whole; a damaged one is replaced."""
    make_folder(folder.parent)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        for name, content in files.items():
            file = temporary / name
            make_folder(file.parent)
            file.write_bytes(content)
            open_to_group(file, file.parent)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _revision(root: Path) -> tuple[str | None, bytes | None]:
    """The git revision of the code, with a + where it was changed since, and what was changed."""
    about = root / ABOUT
    if about.is_file():  # this code is a copy that an earlier sweep has left
        revision = json.loads(about.read_bytes())["revision"]
        patch = root / f"{(revision or '').rstrip('+')}.patch"
        return revision, patch.read_bytes() if patch.is_file() else None
    described = _git(root, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")
    revision = described.decode().strip() if described else None
    return revision, _git(root, "diff", "HEAD") if revision and revision.endswith("+") else None


def _git(root: Path, *args: str) -> bytes | None:
    """What git prints about a folder; None without git, and outside of a repository."""
    try:
        return subprocess.run(["git", "-C", str(root), *args], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
