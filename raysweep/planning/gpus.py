"""Finds the GPUs of this machine that a sweep may use, without importing torch."""

import glob
import os
import re
import subprocess
from collections.abc import Sequence

DEVICES = "/dev/nvidia[0-9]*"
"""The files by which NVIDIA's driver offers GPUs."""
NONE = ("", "-1", "NoDevFiles")
"""What stands in CUDA_VISIBLE_DEVICES for no GPU; SLURM writes the last one."""


def visible_gpus() -> tuple[list[str], list[str]]:
    """The GPUs that are there, of those in CUDA_VISIBLE_DEVICES where it is set, and the names in it of no GPU.

    GPUs are named by number, or as that variable names them: by a UUID, of a whole GPU or of a part of one (MIG).
    """
    count = len(glob.glob(DEVICES))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(i) for i in range(count)], []
    names = [name for name in dict.fromkeys(device.strip() for device in visible.split(",")) if name not in NONE]
    by_uuid = any(not name.isdigit() for name in names)
    uuids = _uuids() if count and by_uuid else []
    there = [name for name in names if _is_there(name, count, uuids)]
    return there, [name for name in names if name not in there]


def _is_there(name: str, count: int, uuids: Sequence[str]) -> bool:
    """Whether a name is of one of `count` GPUs with these UUIDs, which may be shortened; none are known without any."""
    if name.isdigit():
        return int(name) < count
    if not name.startswith(("GPU-", "MIG-")):
        return False
    return any(uuid.startswith(name) for uuid in uuids) if uuids else count > 0


def _uuids() -> list[str]:
    """The UUIDs of the GPUs and of their parts; empty if nvidia-smi does not tell."""
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"UUID: ([^)\s]+)", said)
