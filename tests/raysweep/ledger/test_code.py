"""Copies of code: what is in them, under which name, and that a damaged one is never handed out."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from raysweep.ledger import LedgerError, fetch_code, keep_code, open_ledger
from tests.conftest import ROOT

KEEP = """
import json, sys
from raysweep.ledger import hash_of_code, keep_code, open_ledger
code = keep_code(open_ledger(sys.argv[1]).store, None)
assert hash_of_code(None) == code.hash
print(json.dumps({**code.provenance(), "folder": code.folder}))
"""


def git(folder, *args):
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(["git", *who, "-C", str(folder), *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """A project in a repository: the packages that a copy is made with, and a file that git ignores."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "raysweep", folder / "raysweep", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "run_sweep.py").write_text("print('swept')\n")
    (folder / "raysweep" / "table.in").write_text("data of a package\n")
    (folder / "notes.txt").write_text("no code\n")
    (folder / "scratch.py").write_text("print('ignored')\n")
    (folder / ".gitignore").write_text("scratch.py\n__pycache__\nresults\n")
    git(tmp_path, "init", "--quiet", "project")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def keep(project, results, cwd=None):
    env = {**os.environ, "PYTHONPATH": str(project)}
    command = [sys.executable, "-P", "-c", KEEP, str(results)]
    done = subprocess.run(command, cwd=cwd or project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names_in(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_a_copy_holds_what_git_does_not_ignore_and_what_lies_in_packages(project, tmp_path):
    (project / "new.py").write_text("")
    code = keep(project, tmp_path / "results")
    copy = tmp_path / "results" / "code" / code["code"]
    assert code["folder"] == str(copy)
    there = names_in(copy)
    tracked = set(git(project, "ls-files", "*.py").splitlines())
    patch = f"{code['revision'].rstrip('+')}.patch"
    assert there == tracked | {"new.py", "raysweep/table.in", "about.json"}, "no patch: no tracked file was changed"
    assert code["revision"] == git(project, "rev-parse", "--short=12", "HEAD")
    assert code["patch"] is None
    assert patch not in there


def test_its_name_follows_from_the_contents_and_a_changed_tree_leaves_a_patch(project, tmp_path):
    results = tmp_path / "results"
    first = keep(project, results)
    assert keep(project, results) == first, "nothing has changed"
    (project / "run_sweep.py").write_text("print('changed')\n")
    second = keep(project, results)
    assert second["code"] != first["code"]
    assert second["revision"] == f"{first['revision']}+"
    patch = results / second["patch"]
    assert "+print('changed')" in patch.read_text()
    git(project, "checkout", "--quiet", "run_sweep.py")
    git(project, "apply", str(patch))
    assert keep(project, results) == second, "revision and patch give the same code again"
    assert {path.name for path in (results / "code").iterdir()} == {first["code"], second["code"]}


def test_a_copy_of_a_copy_is_itself_and_knows_its_revision(project, tmp_path):
    (project / "run_sweep.py").write_text("print('changed')\n")
    first = keep(project, project / "results")
    again = keep(tmp_path / "project" / "results" / "code" / first["code"], project / "results", cwd=tmp_path)
    assert again == first


def test_a_project_without_git_is_copied_by_its_packages(project, tmp_path):
    shutil.rmtree(project / ".git")
    (project / "docs").mkdir()
    (project / "docs" / "notes.py").write_text("")
    code = keep(project, tmp_path / "results")
    assert code["revision"] is None
    there = names_in(tmp_path / "results" / "code" / code["code"])
    assert {"run_sweep.py", "raysweep/session.py", "raysweep/table.in"} <= there
    assert "docs/notes.py" not in there


def test_a_damaged_copy_is_made_again_and_never_handed_out(project, tmp_path):
    results = tmp_path / "results"
    code = keep(project, results)
    store, copy = open_ledger(results).store, results / "code" / code["code"]
    assert fetch_code(store, code["code"]) == copy
    (copy / "run_sweep.py").write_text("print('something else')\n")
    with pytest.raises(LedgerError, match="was changed since"):
        fetch_code(store, code["code"])
    keep(project, results)
    assert (copy / "run_sweep.py").read_text() == "print('swept')\n"
    with pytest.raises(LedgerError, match="code/0123 is not there"):
        fetch_code(store, "0123")


def test_the_file_of_space_is_copied_with_the_modules_that_it_has_imported(project, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "own_space.py").write_text("import own_helper\n")
    (folder / "own_helper.py").write_text("WIDTH = 7\n")
    (folder / "unrelated.py").write_text("")
    text = f"""
import sys
from pathlib import Path
from raysweep.ledger import keep_code, open_ledger
from raysweep.modules import import_file
import_file(Path({str(folder / "own_space.py")!r}))
print(keep_code(open_ledger(sys.argv[1]).store, {str(folder / "own_space.py")!r}).folder)
"""
    env = {**os.environ, "PYTHONPATH": str(project)}
    command = [sys.executable, "-P", "-c", text, str(tmp_path / "results")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    copy = tmp_path / "results" / done.stdout.strip()
    assert names_in(copy / "space") == {"own_space.py", "own_helper.py"}
    assert keep(project, tmp_path / "results")["code"] != copy.name


def test_it_is_left_in_an_object_store_too(project, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    store = open_ledger("memory://bucket/results").store
    code = keep_code(store, None)
    assert store.get(f"code/{code.hash}/run_sweep.py") == (ROOT / "run_sweep.py").read_bytes()
    shutil.rmtree(tmp_path / "cache")
    copy = fetch_code(open_ledger("memory://bucket/results").store, code.hash)
    assert (copy / "raysweep" / "session.py").read_bytes() == (ROOT / "raysweep" / "session.py").read_bytes()
