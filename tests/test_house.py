"""Each line of the house is where its folder's name says, and small enough to be read at once."""

import ast
import importlib
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ["raysweep", *sorted(f"raysweep.{file.parent.name}" for file in ROOT.glob("raysweep/*/__init__.py"))]
LONGEST_FILE, LONGEST_FUNCTION = 300, 50


def sources() -> list[Path]:
    """The Python files of the project but its tests, as git knows them."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.py"], cwd=ROOT, capture_output=True)
    files = [ROOT / name for name in listed.stdout.decode().split() if not name.startswith("tests/")]
    if not files:
        pytest.skip("not a git checkout")
    return [file for file in files if file.exists()]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_exports_what_a_type_checker_thinks_that_it_exports(package):
    module = importlib.import_module(package)
    tree = ast.parse(Path(module.__file__).read_text())
    typed = {}
    for block in tree.body:
        if isinstance(block, ast.If):
            for statement in block.body:
                typed |= {alias.name: statement.module for alias in statement.names}
    assert set(module.__all__) == set(typed)
    for name, home in typed.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


def test_rooms_are_entered_by_their_doors():
    """From outside of a package of raysweep, only what its `__init__` exports is imported."""
    wrong = []
    for file in sources():
        room = ".".join(file.relative_to(ROOT).parts[:2])
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raysweep."):
                package = ".".join(node.module.split(".")[:2])
                if package not in PACKAGES or package == room:
                    continue
                exported = importlib.import_module(package).__all__
                if node.module != package or not {alias.name for alias in node.names} <= set(exported):
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not wrong, "\n".join(wrong)


def test_files_and_functions_can_be_read_at_once():
    wrong = []
    for file in sources():
        text = file.read_text()
        name, lines = file.relative_to(ROOT), text.count("\n")
        if lines > LONGEST_FILE:
            wrong.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if node.end_lineno - first + 1 > LONGEST_FUNCTION:
                    wrong.append(f"{name}: {node.name} has {node.end_lineno - first + 1} lines")
    assert not wrong, "\n".join(wrong)
