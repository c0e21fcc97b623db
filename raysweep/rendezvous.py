"""How the workers of a run on this machine find each other: by a file, with sockets on loopback alone.

torch's TCPStore, which Ray Train uses otherwise, listens on all interfaces.
"""

import os
from dataclasses import dataclass
from typing import Any

import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import _set_torch_distributed_env_vars, _setup_torch_process_group, _TorchBackend


@dataclass
class FileRendezvous(TorchConfig):  # type: ignore[misc]
    """A process group that meets in `file`, which must be new for each group."""

    file: str = ""

    @property
    def backend_cls(self) -> type:
        """Who sets the group up."""
        return _FileBackend


class _FileBackend(_TorchBackend):  # type: ignore[misc]
    def on_start(self, worker_group: Any, backend_config: FileRendezvous) -> None:
        on_gpus = worker_group.get_resources_per_worker().get("GPU", 0) > 0
        worker_group.execute(_stay_on_loopback)
        worker_group.execute(_set_torch_distributed_env_vars)
        os.makedirs(os.path.dirname(backend_config.file), exist_ok=True)
        size = len(worker_group)
        ray.get(
            [
                worker_group.execute_single_async(
                    rank,
                    _setup_torch_process_group,
                    backend="nccl" if on_gpus else "gloo",
                    world_rank=rank,
                    world_size=size,
                    init_method=f"file://{backend_config.file}",
                    timeout_s=backend_config.timeout_s,
                )
                for rank in range(size)
            ]
        )


def _stay_on_loopback() -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = "lo"
