"""A configuration of `TorchTrainer` for workers that form their process group themselves."""

import contextlib
from typing import Any

from ray.train.backend import Backend
from ray.train.torch import TorchConfig


class NoProcessGroup(TorchConfig):  # type: ignore[misc]
    """Has Ray Train neither form a process group nor look for GPUs, which workers may not see before their turn."""

    @property
    def backend_cls(self) -> Any:
        """What Ray Train does on workers for torch: nothing."""
        return Backend

    @property
    def train_func_context(self) -> type[contextlib.AbstractContextManager[None]]:
        """Within what Ray Train calls the train loop."""
        return contextlib.nullcontext
