"""Makes all processes of a sweep import modules from the same folders as this one.

A run's configuration is an object of a class of some module, and its trainable is the name of a module. The processes
of trials, workers and measurements have to find both, on this machine or on another one. `folders` says where; what it
says travels with each run (see `Folders`), so that it holds in processes that were there before the run was asked for.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from raysweep.messages import PlanError, one_line

ROOT = Path(__file__).resolve().parents[1]
"""The folder of this project's packages."""

_beside: list[str] = []
"""The folders beside `ROOT` that `import_from` has been given, here or by the process that has sent us a run."""

_imported: dict[Path, tuple[str, ModuleType]] = {}
"""What `import_file` has imported, by file: the hash of its text, and the module."""


def folders() -> list[str]:
    """The folders from which all processes import modules, after those of their own Python: that of the project, then
    those of the files that `import_file` has imported."""
    return [str(ROOT), *_beside]


def import_from(folders: Sequence[str], but_not_from: str = "") -> None:
    """Let this process import modules from these folders, too, and no longer from the folder `but_not_from`.

    Modules that Python finds elsewhere take precedence over those in the folders.
    """
    sys.path[:] = [folder for folder in sys.path if folder != but_not_from]
    sys.path += [folder for folder in folders if folder not in sys.path]
    _beside.extend(folder for folder in folders if folder not in (str(ROOT), *_beside))


class Folders:
    """Stands in a pickle before what needs modules: when it is unpickled, `folders` of the process that pickled it
    become known, and what comes after it finds its modules.

    Ray lets its processes import from the working folder before all others. Where this process does not, they do so no
    more, or they would take a file of the working folder for one of the same name that this process has imported.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        here = os.getcwd()
        return import_from, (folders(), "" if here in sys.path or "" in sys.path else here)


def import_file(file: Path) -> ModuleType:
    """The module of a Python file, under the name by which every process imports it: the file's own.

    Raises PlanError, in a line, for a file that is not there, whose name is that of another module, or that raises an
    exception, and for one that has changed since it was imported first.
    """
    try:
        file = file.expanduser().absolute()
    except RuntimeError as error:  # the home of a user whom this machine does not know
        raise PlanError(f"--space {file}: {error}") from None
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
