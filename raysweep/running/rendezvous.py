"""How the workers of a run on this machine find each other: by a file, with sockets on loopback alone.

torch's TCPStore, which Ray Train and torchrun use, listens on all interfaces.
"""

import contextlib
import datetime
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from raysweep.ledger import make_folder

TIMEOUT = datetime.timedelta(minutes=30)
"""How long an operation of a process group may take, as in Ray Train."""


@contextlib.contextmanager
def process_group(file: str, rank: int, world_size: int, *, on_gpus: bool) -> Iterator[None]:
    """Be one of `world_size` workers that meet in `file`, which must be new for each group; alone, none is needed."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world_size), "LOCAL_RANK": str(rank)}
    if world_size == 1:
        yield
        return
    distributed = importlib.import_module("torch.distributed")  # of all of raysweep, only such workers need torch
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = "lo"
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1")  # as Ray Train does: a lost peer ends the others
    make_folder(Path(file).parent)
    distributed.init_process_group(
        backend="nccl" if on_gpus else "gloo",
        init_method=f"file://{file}",
        rank=rank,
        world_size=world_size,
        timeout=TIMEOUT,
    )
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
