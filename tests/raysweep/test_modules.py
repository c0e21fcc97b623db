"""Modules of files outside the project are found by their own name, here and wherever a run of theirs is unpickled."""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass

import pytest

from raysweep import modules
from raysweep.messages import PlanError
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _leaves_nothing(monkeypatch):
    """What a test imports is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(modules, "_imported", {})
    monkeypatch.setattr(modules, "_beside", [])
    yield
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def write(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def refused(file) -> str:
    with pytest.raises(PlanError) as error:
        modules.import_file(file)
    assert "\n" not in str(error.value)
    return str(error.value)


@dataclass
class Carrier:
    """As a run: what is in it may be of a class of an imported file."""

    content: object

    def __reduce__(self):
        return _carried, (modules.Folders(), self.content)


def _carried(_, content):
    return Carrier(content)


def test_a_file_is_imported_once_under_its_own_name_with_what_lies_beside_it(tmp_path):
    write(tmp_path, "own_helper.py", "WIDTH = 7")
    file = write(tmp_path, "own_space.py", "import own_helper\nWIDTH = own_helper.WIDTH")
    module = modules.import_file(file)
    assert (module.__name__, module.WIDTH) == ("own_space", 7)
    assert modules.import_file(file) is module
    assert modules.file_of("own_space") == file
    assert modules.folders() == [str(ROOT), str(tmp_path)]


def test_an_object_of_an_imported_class_is_unpickled_by_a_process_that_knows_nothing_of_it(tmp_path):
    """Its folder goes before it in the pickle, though the process has neither path nor environment for it; and so on,
    from a trial's process to its workers'."""
    file = write(tmp_path / "far away", "own_space.py", "class Config:\n    width = 3\n")
    pickled = pickle.dumps(Carrier(modules.import_file(file).Config()))
    hand_on = "import pickle, sys; sys.stdout.buffer.write(pickle.dumps(pickle.load(sys.stdin.buffer)))"
    use = "import pickle, sys; print(pickle.load(sys.stdin.buffer).content.width)"
    for code in (hand_on, use):
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=pickled, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        pickled = done.stdout
    assert pickled.decode().strip() == "3"


def test_what_python_finds_elsewhere_goes_first(tmp_path):
    """A file beside that of --space takes the place of no other module."""
    write(tmp_path, "colorsys.py", "raise RuntimeError('not this one')")
    modules.import_file(write(tmp_path, "own_space.py", "import colorsys\nFOUND = colorsys.__file__"))
    assert str(tmp_path) not in sys.modules["own_space"].FOUND


def test_a_file_of_the_working_folder_is_not_taken_for_one_of_the_same_name(tmp_path, monkeypatch):
    """Ray puts the folder of the command first; a command that imports nothing from there wants nothing from there."""
    write(tmp_path / "working folder", "own_helper.py", "WIDTH = 0")
    write(tmp_path / "space", "own_helper.py", "class Config:\n    width = 3\n")
    module = modules.import_file(write(tmp_path / "space", "own_space.py", "from own_helper import Config"))
    monkeypatch.chdir(tmp_path / "working folder")
    pickled = pickle.dumps(Carrier(module.Config()))
    code = "import os, pickle, sys; sys.path.insert(0, os.getcwd()); print(pickle.load(sys.stdin.buffer).content.width)"
    command, environment = [sys.executable, "-P", "-c", code], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, input=pickled, capture_output=True, check=False)
    assert done.stdout.decode().strip() == "3", done.stderr.decode()


@pytest.mark.parametrize("name", ["random.py", "torch.py", "raysweep.py", "trainables.py", "sys.py"])
def test_the_name_of_another_module_is_refused(tmp_path, name):
    line = refused(write(tmp_path, name, ""))
    assert f"{name.removesuffix('.py')} is the name of another module (" in line
    assert line.endswith("; rename the file")


@pytest.mark.parametrize("name", ["own-space.py", "own_space.txt", "1space.py"])
def test_a_name_that_no_module_can_have_is_refused(tmp_path, name):
    assert "its name has to be that of a Python module" in refused(write(tmp_path, name, ""))


def test_two_files_of_one_name_are_told_apart(tmp_path):
    modules.import_file(write(tmp_path / "one", "own_space.py", ""))
    assert f"another module ({tmp_path}/one/own_space.py)" in refused(write(tmp_path / "two", "own_space.py", ""))


def test_a_file_that_has_changed_since_it_was_imported_is_refused(tmp_path):
    file = write(tmp_path, "own_space.py", "WIDTH = 1")
    modules.import_file(file)
    write(tmp_path, "own_space.py", "WIDTH = 2")
    assert "has changed since" in refused(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = c\n", ":2: NameError: name 'c' is not defined"),
        ("def f():\n    return 1 / 0\n\nf()\n", ":2: ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')\n", ":2: JSONDecodeError: Expecting property name"),
        ("x = (\n", ":1: SyntaxError: '(' was never closed"),
        ("import nowhere_at_all\n", ":1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit\n", ":1: SystemExit: SystemExit"),
        ("raise ValueError('two\\nlines')\n", ":1: ValueError: two"),
    ],
)
def test_what_a_file_raises_is_a_line_with_its_place(tmp_path, text, message):
    file = write(tmp_path, "own_space.py", text)
    assert refused(file).startswith(f"{file}{message}")
    file.write_text("")
    modules.import_file(file)  # nothing of the failure is left
