import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT
from trainables.data import shared_memory
from trainables.data.catalog import locate


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_small_images_are_decoded_once(cache, monkeypatch):
    first = shared_memory.shared_splits(locate("digits", None))
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(shared_memory, "read_splits", lambda info: pytest.fail("decoded again"))
    again = shared_memory.shared_splits(locate("digits", None))
    for split, n in (("train", 1438), ("test", 359)):
        for one, other in zip(first[split], again[split], strict=True):
            assert torch.equal(one, other)
            assert len(one) == n


def test_two_processes_map_one_file(cache):
    """Neither holds a page of its own: the kernel counts each as shared by both."""
    program = """
import sys
from trainables.data.catalog import locate
from trainables.data.shared_memory import shared_splits
pixels = shared_splits(locate("digits", None))["train"][0]
print(pixels.sum().item(), flush=True)
sys.stdin.readline()
fields, inside = {}, False
for line in open("/proc/self/smaps"):
    if "-" in line.split()[0]:
        inside = "/digits-" in line
        if inside:
            print(line.split()[4], flush=True)
    elif inside and line.split()[0] in ("Private_Dirty:", "Private_Clean:"):
        print(line.split()[1], flush=True)
sys.stdin.readline()
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    shared_memory.shared_splits(locate("digits", None))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **pipes) for _ in range(2)]
    sums = [process.stdout.readline() for process in both]
    assert sums[0] == sums[1] != ""
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    inodes, *private = zip(*([process.stdout.readline() for _ in range(3)] for process in both), strict=True)
    assert inodes[0] == inodes[1]
    assert private == [("0\n", "0\n")] * 2
    for process in both:
        process.communicate("\n", timeout=30)


def test_a_process_cannot_change_what_the_others_see(cache):
    info = locate("digits", None)
    mine = shared_memory.shared_splits(info)["train"][0]
    mine.zero_()
    assert shared_memory.shared_splits(info)["train"][0].any()


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_file_is_made_again(cache, damage):
    info = locate("digits", None)
    expected = shared_memory.shared_splits(info)["test"][0].clone()
    (file,) = cache.iterdir()
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.unlink()
    file.write_bytes({"cut": content[:-100], "changed": content, "empty": b""}[damage])
    assert torch.equal(shared_memory.shared_splits(info)["test"][0], expected)


def test_other_content_replaces_the_file_of_the_earlier_one(cache, monkeypatch):
    info = locate("digits", None)
    shared_memory.shared_splits(info)
    before = list(cache.iterdir())
    monkeypatch.setattr(shared_memory, "_FORMAT", 0)
    shared_memory.shared_splits(info)
    (after,) = cache.iterdir()
    assert after not in before


def test_without_a_folder_that_has_room_the_process_keeps_its_own(cache, monkeypatch):
    expected = shared_memory.shared_splits(locate("digits", None))
    monkeypatch.setattr(shared_memory, "shared_memory_folders", lambda: iter(()))
    alone = shared_memory.shared_splits(locate("digits", None))
    assert torch.equal(alone["train"][0], expected["train"][0])
    assert torch.equal(alone["test"][1], expected["test"][1])
