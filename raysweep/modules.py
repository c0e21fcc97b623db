"""Makes all processes of a sweep import modules from the same folders as this one.

A run's configuration is an object of a class of some module, and its trainable is the name of a module. The processes
of trials, workers and measurements have to find both, on this machine or on another one. `folders` says where; what it
says travels with each run (see `Folders`), so that it holds in processes that were there before the run was asked for.

A sweep imports from a copy of the code, which stays as it is while people edit (see `ledger.code`, `importing_from`).
"""

import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from raysweep.messages import PlanError, one_line
from raysweep.paths import expanded

ROOT = Path(__file__).resolve().parents[1]
"""The folder of this project's packages, as this process has imported this module."""

_copies: list[str] = []
"""The copies of code from which all processes import: that of the project, then those of files beside it."""

_started_in: str = ""
"""The working folder of the sweep's driver, if the processes of Ray were started in another one."""

_beside: list[str] = []
"""The folders beside `ROOT` that `import_from` has been given, here or by the process that has sent us a run."""

_imported: dict[Path, tuple[str, ModuleType]] = {}
"""What `import_file` has imported, by file: the hash of its text, and the module."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What this process has imported."""

    root: Path
    """The folder of the project's packages."""
    files: Mapping[str, str]
    """The files of all modules, of libraries too, by the modules' names."""

    def files_in(self, folder: Path) -> list[str]:
        """The files, as named from a folder, of the modules and packages that lie directly in it."""
        found = []
        for module, file in self.files.items():
            top, name = module.partition(".")[0], file.removeprefix(f"{folder}{os.sep}")
            if name != file and name.split(os.sep)[0] in (top, f"{top}.py"):
                found.append(Path(name).as_posix())
        return found


def loaded() -> Loaded:
    """What this process has imported so far."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return Loaded(root=root(), files={name: file for name, file in files.items() if file})


def root() -> Path:
    """The folder from which all processes import the project's packages: a copy, within `importing_from`."""
    return Path(_copies[0]) if _copies else ROOT


def folders() -> list[str]:
    """The folders from which all processes import modules, after those of their own Python: that of the project, then
    those of the files that `import_file` has imported."""
    return [*(_copies or [str(ROOT)]), *_beside]


@contextlib.contextmanager
def importing_from(copy: Path, beside: str) -> Iterator[None]:
    """Within this context, this process and all that it starts import what is not imported yet from a copy of the code.

    `beside` is the folder in the copy that holds what lies outside of the project. A copy of further files may come
    within the context: what it has of the project is not used, since it equals what is used already.
    """
    paths, environment, copies = sys.path[:], os.environ.get("PYTHONPATH"), _copies[:]
    packages = [] if copies else [module for module in list(sys.modules.values()) if _is_of_project(module)]
    of_packages = [module.__path__[:] for module in packages]
    _copies[:] = [copies[0] if copies else str(copy), str(copy / beside), *copies[1:]]
    if not copies:
        sys.path.insert(0, str(copy))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(copy), environment]))
    for module in packages:
        module.__path__[:] = [_in_copy(folder, copy) for folder in module.__path__]
    try:
        yield
    finally:
        sys.path[:], _copies[:] = paths, copies
        for module, folders in zip(packages, of_packages, strict=True):
            module.__path__[:] = folders
        if environment is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = environment


def _is_of_project(module: ModuleType) -> bool:
    """Whether a module is a package in the folder of the project."""
    folders = getattr(module, "__path__", None)
    return isinstance(folders, list) and any(folder.startswith(f"{ROOT}{os.sep}") for folder in folders)


def _in_copy(folder: str, copy: Path) -> str:
    """The folder of a package in a copy; of a package that the copy lacks (a library beside the project), its own."""
    there = copy / os.path.relpath(folder, ROOT)
    return str(there) if there.is_dir() else folder


@contextlib.contextmanager
def starting_in_root() -> Iterator[None]:
    """Within this context the working folder is `root`, from which processes of Ray import before all other folders.

    They change to the present working folder when the first run comes to them (see `Folders`).
    """
    global _started_in
    _started_in = os.getcwd()
    with contextlib.chdir(root()):
        yield


def import_from(folders: Sequence[str], but_not_from: str = "", started_in: str = "") -> None:
    """Let this process import modules from these folders, too, and no longer from the folder `but_not_from`.

    Modules that Python finds elsewhere take precedence over those in the folders. With `started_in`, this process was
    started in the first of the folders: it changes to `started_in`. Raises ImportError if it has imported the project
    from another folder.
    """
    global _started_in
    sys.path[:] = [folder for folder in sys.path if folder != but_not_from]
    sys.path += [folder for folder in folders if folder not in sys.path]
    _beside.extend(folder for folder in folders if folder not in (str(ROOT), *_copies, *_beside))
    if started_in and str(root()) != folders[0]:
        raise ImportError(f"this process has imported raysweep from {root()} instead of {folders[0]}")
    if started_in and not _started_in:
        _started_in = started_in
        with contextlib.suppress(OSError):  # it is gone; no path of a run is relative
            os.chdir(started_in)


class Folders:
    """Stands in a pickle before what needs modules: when it is unpickled, `folders` of the process that pickled it
    become known, and what comes after it finds its modules.

    Ray lets its processes import from the working folder before all others. Where this process does not, they do so no
    more, or they would take a file of the working folder for one of the same name that this process has imported.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        here = os.getcwd()
        return import_from, (folders(), "" if here in sys.path or "" in sys.path else here, _started_in)


def import_file(file: Path) -> ModuleType:
    """The module of a Python file, under the name by which every process imports it: the file's own.

    Raises PlanError, in a line, for a file that is not there, whose name is that of another module, or that raises an
    exception, and for one that has changed since it was imported first.
    """
    try:
        file = expanded(file)
    except PlanError as error:
        raise PlanError(f"--space {error}") from None
    if not file.is_file():
        raise PlanError(f"--space {file}: there is no such file")
    text = hashlib.sha256(file.read_bytes()).hexdigest()
    if file in _imported:
        if _imported[file][0] != text:
            raise PlanError(f"--space {file}: it has changed since the sweep that is to run it has begun")
        return _imported[file][1]
    _require_own_name(file)
    import_from([str(file.parent)])
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(file.stem)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        sys.modules.pop(file.stem, None)
        raise PlanError(_where_it_failed(file, error)) from None
    _imported[file] = text, module
    return module


def file_of(module: str) -> Path | None:
    """The file that `import_file` has imported as this module, or None if it has imported none."""
    return next((file for file in _imported if file.stem == module), None)


def _require_own_name(file: Path) -> None:
    """Raises PlanError unless the file is what `import` finds by its name, or nothing is found."""
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise PlanError(f"--space {file}: its name has to be that of a Python module, such as my_space.py")
    known = sys.modules.get(file.stem)
    if known is None:
        spec = importlib.util.find_spec(file.stem)
        there = spec and (spec.origin or "a package")
    else:
        there = getattr(known, "__file__", None) or "built into Python"
    if there and not (Path(there).exists() and Path(there).samefile(file)):
        raise PlanError(f"--space {file}: {file.stem} is the name of another module ({there}); rename the file")


def _where_it_failed(file: Path, error: BaseException) -> str:
    """Describes what a file raised while it was imported, with the line of the file."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(file)), 1)
    return f"{file}:{line}: {_kind(error)}{one_line(error)}"


def _kind(error: BaseException) -> str:
    """The type of an exception, if `one_line` leaves it out."""
    return "" if type(error).__module__ == "builtins" else f"{type(error).__name__}: "
