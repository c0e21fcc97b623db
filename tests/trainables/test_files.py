"""Files of a run: one that cannot be read is not set aside as damaged, and a group that shares a folder may use all."""

import contextlib
import os
import resource
from pathlib import Path

import pytest

from tests.users import closed
from trainables.control import RunControl
from trainables.distributed import Workers
from trainables.files import write_atomically
from trainables.results import read_results
from trainables.scattering import ScatteringConfig, ScatteringNet, checkpoint

CONFIG = ScatteringConfig(n_blocks=1, L=2, kernel_size=3)
IDENTITY = {"data": "digits", "world_size": 1, "numerics": 1}


@pytest.fixture
def run(tmp_path):
    """The folder of a run with a checkpoint."""
    checkpoint.save(tmp_path, checkpoint.LAST, ScatteringNet(CONFIG, image_size=32, num_classes=10), identity=IDENTITY)
    return tmp_path


def read(run: Path):
    return checkpoint.read(run, checkpoint.LAST, CONFIG, IDENTITY)


@pytest.mark.parametrize(
    ("target", "words"), [("last.pt", "Too many levels"), ("/proc/self/mem", "Input/output error")]
)
def test_a_checkpoint_that_cannot_be_read_stays(run, target, words, capsys):
    assert read(run)["identity"] == IDENTITY
    file = run / checkpoint.LAST
    file.unlink()
    file.symlink_to(target)
    with pytest.raises(OSError, match=words):
        read(run)
    assert [path.name for path in run.iterdir()] == [checkpoint.LAST]
    assert capsys.readouterr().out == ""


def test_a_checkpoint_of_which_torch_hides_why_it_is_not_read_stays(run):
    """torch opens it once more to map it, and says RuntimeError where the system lets it open no more files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.open("/", os.O_RDONLY)
    os.close(first_free)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + 1, limits[1]))
        with pytest.raises(OSError, match=r"last\.pt.* Too many open files"):
            read(run)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert read(run)["identity"] == IDENTITY


def test_results_that_cannot_be_read_stay(run):
    file = run / "results.json"
    file.symlink_to(file)
    with pytest.raises(OSError, match="Too many levels"):
        read_results(run, CONFIG, IDENTITY)
    assert file.is_symlink()


def test_what_a_run_writes_in_a_shared_folder_is_open_to_its_group(tmp_path):
    if os.geteuid() == 0:
        os.chown(tmp_path, -1, 4242)
    tmp_path.chmod(0o2770)
    before = os.umask(0o077)
    try:
        folder = tmp_path / "runs" / "C-s42-0"
        with contextlib.closing(RunControl(folder, Workers.current(), checkpoint_minutes=1)) as control:
            write_atomically(folder / "last.pt", lambda stream: stream.write(b"content") and None)
            control.heartbeat()
            assert {path.name for path in folder.iterdir()} == {"last.pt", "pulse-0", "stacks-0"}
            assert closed(tmp_path) == []
    finally:
        os.umask(before)
