"""How many CPUs and GPUs a sweep counts on: those that this process may use, and that are there."""

import os
import stat

import pytest

from raysweep.messages import PlanError
from raysweep.planning import local_resources, parse_options, usable_cpus
from raysweep.planning.control_groups import cpu_quota, memory_limit
from raysweep.planning.gpus import visible_gpus

SMI = """#!/bin/sh
cat <<END
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-8932f937-d72c-4106-c12f-20bd9faed9f6)
  MIG 3g.40gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-a3c1d1f2-08b9-4f0c-8dbe-6a7dd4d3a7bb)
END
"""


def system(root, **files):
    """The files of a system below `root`, given by their paths with `__` in place of `/`."""
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        ("0::/", {"cpu.max": "400000 100000"}, 4.0),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/job/step", {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"}, 1.5),
        ("0::/job/step", {"job/cpu.max": "800000 100000", "job/step/cpu.max": "200000 100000"}, 2.0),
        ("3:cpu,cpuacct:/docker/f3a", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2.5),
        ("3:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"}, 0.5),
        ("3:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("1:name=systemd:/\n0::/../x", {}, None),
    ],
)
def test_the_quota_of_a_control_group_is_found_in_both_versions(tmp_path, groups, files, cpus):
    system(tmp_path, proc__self__cgroup=groups)
    for name, text in files.items():
        system(tmp_path / "sys/fs/cgroup", **{name.replace("/", "__"): text})
    assert cpu_quota(tmp_path) == cpus


def test_the_memory_limit_is_that_of_the_narrowest_group(tmp_path):
    assert memory_limit(tmp_path) is None
    system(tmp_path, proc__self__cgroup="0::/user/job\n4:memory:/m")
    folder = tmp_path / "sys/fs/cgroup"
    system(folder, **{"memory.max": "max", "user__memory.max": "4096", "user__job__memory.max": "8192"})
    assert memory_limit(tmp_path) == 4096
    system(folder, **{"memory__m__memory.limit_in_bytes": "2048"})
    assert memory_limit(tmp_path) == 2048


@pytest.mark.parametrize(
    ("allowed", "quota", "cpus"), [(64, 4.0, 4), (64, 3.9, 3), (64, 0.5, 1), (2, 8.0, 2), (64, None, 64)]
)
def test_cpus_are_counted_by_affinity_and_quota(monkeypatch, allowed, quota, cpus):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)))
    monkeypatch.setattr("raysweep.planning.resources.cpu_quota", lambda: quota)
    monkeypatch.setattr("raysweep.planning.gpus.DEVICES", "/dev/null/nvidia*")
    assert usable_cpus() == cpus
    assert local_resources().slots == cpus


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A machine with two GPUs, one of which has a part of its own, and sixteen CPUs."""
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    smi = tmp_path / "nvidia-smi"
    smi.write_text(SMI)
    smi.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("raysweep.planning.gpus.DEVICES", str(tmp_path / "nvidia[0-9]*"))
    monkeypatch.setattr("raysweep.planning.resources.usable_cpus", lambda: 16)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return smi


@pytest.mark.parametrize(
    ("visible", "there", "missing"),
    [
        (None, ["0", "1"], []),
        ("", [], []),
        ("-1", [], []),
        ("NoDevFiles", [], []),
        ("1", ["1"], []),
        ("0, 1,7", ["0", "1"], ["7"]),
        ("1,1", ["1"], []),
        ("GPU-a3c1d1f2-08b9-4f0c-8dbe-6a7dd4d3a7bb", ["GPU-a3c1d1f2-08b9-4f0c-8dbe-6a7dd4d3a7bb"], []),
        ("GPU-8932,GPU-ffff", ["GPU-8932"], ["GPU-ffff"]),
        ("MIG-c7384736-a75d-5afc-978f-d2f1294409fd,MIG-0", ["MIG-c7384736-a75d-5afc-978f-d2f1294409fd"], ["MIG-0"]),
        ("all", [], ["all"]),
    ],
)
def test_gpus_are_counted_that_are_there(two_gpus, monkeypatch, visible, there, missing):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == (there, missing)
    found = local_resources()
    assert (found.gpus, list(found.gpu_names)) == (len(there), there)
    assert found.slots == (len(there) or 16)
    assert ("CUDA_VISIBLE_DEVICES names" in str(found)) == bool(missing)


def test_uuids_are_believed_where_nvidia_smi_is_missing(two_gpus, monkeypatch):
    two_gpus.unlink()
    monkeypatch.setenv("PATH", str(two_gpus.parent))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932,MIG-c738")
    assert visible_gpus() == (["GPU-8932", "MIG-c738"], [])


@pytest.mark.parametrize("visible", ["0", "NoDevFiles", "GPU-8932f937", "MIG-c7384736"])
def test_a_machine_without_gpus_trains_on_cpus_whatever_is_said_to_be_visible(monkeypatch, visible):
    monkeypatch.setattr("raysweep.planning.gpus.DEVICES", "/dev/null/nvidia*")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = local_resources()
    assert (found.gpus, found.slots) == (0, usable_cpus())


def test_slots_are_so_many_of_the_cpus_or_of_the_gpus(two_gpus, monkeypatch):
    one = local_resources(slots=1)
    assert (one.gpus, one.gpu_names, one.cpus, one.slots) == (1, ("0",), 8, 1)
    cpus = local_resources(use_gpus=False, slots=3)
    assert (cpus.gpus, cpus.cpus, cpus.slots) == (0, 3, 3)
    with pytest.raises(PlanError, match=r"^--slots 3: the most are 2, since this process may use 2 GPU\(s\)$"):
        local_resources(slots=3)


def test_slots_are_of_one_machine():
    assert parse_options(["--slots", "3"]).slots == 3
    with pytest.raises(PlanError, match="--slots is for this machine alone"):
        parse_options(["--slots", "3", "--address", "auto"])
    with pytest.raises(PlanError, match="--slots"):
        parse_options(["--slots", "0"])
