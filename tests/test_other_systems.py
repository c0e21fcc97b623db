"""Systems other than Linux: what does not need a sweep works there, and a sweep is refused in a line.

Processes of these tests lack `os.sched_getaffinity`, /proc, /dev/shm, and what glibc has alone.
"""

import shutil
import subprocess

import pytest

from tests.conftest import DATA, run

WITHOUT = """
import os, runpy, sys
sys.argv = sys.argv[1:]
del os.sched_getaffinity, os.sched_setaffinity
sysconf = os.sysconf
def less(name):
    if name == "SC_PHYS_PAGES":
        raise ValueError("unrecognized configuration name")
    return sysconf(name)
os.sysconf = less
def refuse(event, args):
    path = os.fsdecode(args[0]) if args and isinstance(args[0], (str, bytes, os.PathLike)) else ""
    if event in ("open", "os.listdir", "os.scandir", "os.mkdir") and path.startswith(("/proc", "/dev/shm")):
        raise FileNotFoundError(2, "there is none on this system", path)
    if event == "ctypes.dlsym" and args[1] == "mallopt":
        raise AttributeError("the C library is not glibc")
sys.addaudithook(refuse)
"""
SCRIPT = WITHOUT + "runpy.run_path(sys.argv[0], run_name='__main__')"
MODULE = WITHOUT + "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
S = ("--group", "depth", "--only", "C", "--set", "epochs=0", "lr_epochs=1", "--results")
RESULTS = DATA / "results_of_7efbacf"


def elsewhere(*args: object, how: str = SCRIPT) -> subprocess.CompletedProcess[str]:
    return run("-c", how, *args)


def test_what_is_taken_away_is_gone():
    code = WITHOUT + "import ctypes, pathlib\n"
    for attempt in ("open('/proc/self/stat')", "list(pathlib.Path('/proc').iterdir())", "ctypes.CDLL(None).mallopt"):
        assert run("-c", code + attempt).returncode == 1
    assert run("-c", code).returncode == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--list",), "airbench-cascade"),
        ((*S, "results", "--plan"), "1 run, 0 done, 1 to do"),
        ((*S, "results", "--print-commands"), "torchrun --nproc_per_node=8 -m trainables.scattering"),
    ],
)
def test_what_starts_nothing_works(flags, said):
    done = elsewhere("run_sweep.py", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


def test_results_are_read(tmp_path):
    results = shutil.copytree(RESULTS, tmp_path / "results")  # that somebody looked is written down there
    done = elsewhere("analysis", results, how=MODULE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Does a 5th block help?" in done.stdout
    code = f"{WITHOUT}from raysweep import load_results; print(len(load_results({str(results)!r})))"
    assert run("-c", code).stdout == "2\n"


def test_a_sweep_is_refused_in_a_line(tmp_path):
    for more in ([], ["--address", "127.0.0.1:1"]):
        refused = elsewhere("run_sweep.py", *S, tmp_path / "results", *more)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith("error: a sweep needs Linux")
        assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_trainables_run_without_ray(tmp_path):
    flags = ("--n-blocks", "2", "--L", "2", "--lr-epochs", "1", "--epochs", "0", "--train-size", "0.1")
    done = elsewhere("trainables.scattering", *flags, "--save-dir", tmp_path / "run", how=MODULE)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "results.json").exists()
