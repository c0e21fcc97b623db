"""The processes of ended trials are kept for those to come."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from ray.tune.execution import tune_controller


def kept_processes() -> contextlib.AbstractContextManager[Any]:
    """A context within which a Tuner with `reuse_actors` keeps the processes of all its ended trials."""
    return mock.patch.object(tune_controller, "_ObjectCache", _KeptProcesses)


class _KeptProcesses(tune_controller._ObjectCache):  # type: ignore[misc]
    """The processes of ended trials, for those to come.

    Tune itself keeps one of them, and gives it to a trial for which another one is starting, which it ends. Here all
    stay until the end, and a trial has one of them at its beginning or starts one.
    """

    _begins = False
    """Whether Tune, since it announced a trial, has not asked for a process yet."""

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Keep a process. Returns whether it is kept."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def increase_max(self, key: Any, by: int = 1) -> None:
        """Called when a trial is about to begin."""
        super().increase_max(key, by)
        self._begins = True

    def has_cached_object(self, key: Any) -> bool:
        """Whether there is a process for the trial that begins."""
        begins, self._begins = self._begins, False
        return begins and bool(self._cached_objects[key])

    def pop_cached_object(self, key: Any) -> Any:
        """Take that process."""
        self._num_cached_objects -= 1
        return self._cached_objects[key].pop(0)

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        """Give up the processes that need not be kept any longer: at the end, all of them."""
        return super().flush_cached_objects(force_all=True) if force_all else iter(())
