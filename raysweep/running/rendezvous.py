"""How the workers of a run on this machine find each other: by a file, with sockets on loopback alone.

torch's TCPStore, which Ray Train and torchrun use, listens on all interfaces.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

TIMEOUT = 1800
"""Seconds for the operations of a process group, as in Ray Train."""


@contextlib.contextmanager
def process_group(file: str, rank: int, world_size: int, *, on_gpus: bool) -> Iterator[None]:
    """Be one of `world_size` workers that meet in `file`, which must be new for each group; alone, none is needed."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world_size), "LOCAL_RANK": str(rank)}
    if world_size == 1:
        yield
        return
    from ray.train.torch.config import _setup_torch_process_group, _shutdown_torch

    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = "lo"
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    _setup_torch_process_group(
        backend="nccl" if on_gpus else "gloo",
        world_rank=rank,
        world_size=world_size,
        init_method=f"file://{file}",
        timeout_s=TIMEOUT,
    )
    try:
        yield
    finally:
        _shutdown_torch(destroy_process_group=True)
