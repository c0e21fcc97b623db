"""What was submitted is what runs, whatever lies in the working folder and whoever edits the code meanwhile."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from raysweep import load_results
from tests.conftest import ROOT

SPACE = "examples/breast_cancer.py"
SWEEP = ("--space", SPACE, "--group", "cancer", "--only", "linear", "--set", "epochs=3")


@pytest.fixture
def clone(tmp_path):
    """The project as a repository of its own, in which every run is a trial of its own."""
    folder = tmp_path / "clone"
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/data/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    space = folder / SPACE
    space.write_text(space.read_text().replace("runs_per_trial=10", "runs_per_trial=1"))
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for args in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", "-C", str(folder), *args], check=True)
    return folder


@pytest.fixture
def elsewhere(tmp_path):
    """A working folder with modules of the project's names, none of which can be imported."""
    folder = tmp_path / "elsewhere"
    for name in ("trainables.py", "search_spaces.py", "breast_cancer.py", "raysweep/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise ImportError('this file is none of the project')\n")
    return folder


def start(clone, folder, results, *args):
    """A command of the clone, typed in another folder."""
    words = [str(clone / SPACE) if word == SPACE else word for word in (*SWEEP, *args)]
    command = [sys.executable, "-u", str(clone / "run_sweep.py"), *words, "--results", str(results)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def done(process) -> str:
    """What a command that succeeds prints."""
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def codes(results) -> dict[str, dict]:
    """The provenance of each run."""
    files = (results / "records").glob("*.json")
    return {record["run"]: record["provenance"] for record in map(json.loads, (f.read_text() for f in files))}


@pytest.mark.ray
@pytest.mark.slow
def test_an_edit_reaches_no_run_of_a_sweep_that_has_started(clone, elsewhere, tmp_path):
    results, original = tmp_path / "results", (clone / SPACE).read_text()
    with start(clone, elsewhere, results, "--seeds", "0-5") as process:
        seen = []
        for line in iter(process.stdout.readline, ""):
            seen.append(line)
            if "finished," in line:
                break
        for name in (SPACE, "trainables/cli.py", "raysweep/running/worker.py", "analysis/terminal.py"):
            (clone / name).write_text("raise ImportError('edited')\n")
        said = "".join(seen) + done(process)
    assert "raise ImportError" not in said
    frame = load_results(results)
    assert sorted(frame["seed"]) == [0, 1, 2, 3, 4, 5]
    head = subprocess.run(["git", "-C", str(clone), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    (code,) = {(p["code"], p["revision"], p["patch"]) for p in codes(results).values()}
    assert code[1:] == (head.stdout.strip(), None), "the tree was clean when the command was given"
    run = frame["run"][0]

    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "."], check=True)
    (clone / "trainables" / "cli.py").write_text((clone / "trainables/cli.py").read_text() + "\n# edited\n")

    said = done(start(clone, elsewhere, results, "--seeds", "0-5"))
    assert f"made by other code: 6 runs: {frame.sort_values('run')['run'].iloc[0]}" in said
    assert "6 finished before, 0 to do" in said

    done(start(clone, elsewhere, results, "--code", run, str(tmp_path / "back")))
    assert "edited" not in (tmp_path / "back" / "trainables" / "cli.py").read_text()
    assert (tmp_path / "back" / "space" / "breast_cancer.py").read_text() == original

    before = frame.set_index("run").loc[run, ["final_acc", "recall"]].to_dict()
    said = done(start(clone, elsewhere, results, "--seeds", "0-5", "--redo", run, "--with-its-own-code"))
    assert f"by the code of {run}" in said
    assert codes(results)[run]["code"] == code[0]
    assert load_results(results).set_index("run").loc[run, ["final_acc", "recall"]].to_dict() == before

    said = done(start(clone, elsewhere, results, "--seeds", "0-5", "--redo", run))
    assert codes(results)[run]["revision"] == f"{code[1]}+"
    patch = (results / codes(results)[run]["patch"]).read_text()
    assert "+# edited" in patch


def test_words_of_code_are_refused_in_a_line(tmp_path):
    def refused(*args):
        command = [sys.executable, "run_sweep.py", *map(str, args), "--results", str(tmp_path / "results")]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 2
        (line,) = ran.stderr.splitlines()
        return line

    results = tmp_path / "results"
    shutil.copytree(ROOT / "tests" / "data" / "results_of_7efbacf", results)
    assert "no such run" in refused("--code", "A-s42-407e5327", tmp_path / "new")
    assert "did you mean 'A-s42-407e5326'" in refused("--code", "A-s42-407e5327", tmp_path / "new")
    assert "the code of A-s42-407e5326 was not kept" in refused("--code", "A-s42-407e5326", tmp_path / "new")
    assert "the folder exists" in refused("--code", "A-s42-407e5326", tmp_path)
    assert "goes with --redo" in refused("--group", "depth", "--with-its-own-code")
    assert not (tmp_path / "new").exists()
