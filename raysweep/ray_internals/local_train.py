"""Ray Train runs on this machine, with as few processes as they can do with: the workers, and one in which they meet.

By itself a Train run inside a Tune trial also starts a controller, a queue for its reports, a keeper of datasets and a
cleaner of placement groups, which costs 7.5 s of a core before anything is trained (docs/log.md). Here the controller
runs in the trial's own process, reports go to Tune directly, there are no datasets, and the workers' placement group
holds nothing that others could miss: slots are taken at the gate. The actor in which workers meet to report, which
keeps nothing between two reports, serves the next Train run of the process as well. Workers import nothing that they
do not train with.
"""

import asyncio
from typing import Any
from unittest import mock

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.v2._internal.callbacks import state_manager
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.metrics import WorkerMetricsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.checkpoint.sync_actor import SynchronizationActor
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group import state, worker, worker_group
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from raysweep.ray_internals.single_names import NEXT_TO_NOTHING


def local_trainer(
    loop: Any, config: dict[str, Any], *, name: str, storage: str, num_workers: int, callbacks: list[Any]
) -> "LocalTrainer":
    """A trainer that runs `loop(config)` on so many workers, which ask Ray for next to nothing."""
    return LocalTrainer(
        loop,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=num_workers, resources_per_worker={"CPU": NEXT_TO_NOTHING}),
        run_config=RunConfig(name=name, storage_path=storage, callbacks=callbacks),
    )


class LocalTrainer(DataParallelTrainer):  # type: ignore[misc]
    """`TorchTrainer` for the inside of a Tune trial on one machine; the train loop sets up its process group itself."""

    def _create_default_callbacks(self) -> list[Any]:
        left_out = DatasetsCallback, PlacementGroupCleanerCallback, WorkerMetricsCallback
        return [one for one in super()._create_default_callbacks() if not isinstance(one, left_out)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        with (
            mock.patch.object(worker_group, "SynchronizationActor", _MEETING),
            mock.patch.object(state, "_shutdown_sync_actor"),
        ):
            controller = _Controller(**arguments)
            asyncio.run(controller.run())
        result = controller.get_result()
        if result.error:
            _MEETING.end()
        return result


class _WorkerGroup(worker_group.WorkerGroup):  # type: ignore[misc]
    """Workers in processes as Ray has them in store, told no more than they need.

    What they are told is unpickled with all that its modules import: of the handle of the trial, the whole of Tune.
    """

    def __init__(self, train_run_context: Any, *rest: Any, **named: Any) -> None:
        super().__init__(train_run_context, *rest, **named)
        self._worker_cls = _worker_called(train_run_context.run_config.name)

    def execute_single(self, rank: int, fn: Any, *args: Any, **named: Any) -> Any:
        """Call a function on one worker. The versions of libraries are asked for in this process instead."""
        if fn is state_manager._get_framework_version:
            return fn(*args, **named)
        return super().execute_single(rank, fn, *args, **named)

    @staticmethod
    def _get_worker_runtime_env(custom_runtime_env: Any) -> dict[str, Any]:
        """Workers have the environment of the cluster: with one of their own, they start through a second Python."""
        return {}

    def _init_train_context_on_workers(self, workers: Any, sync_actor: Any, train_context_args: Any) -> None:
        """Tell workers what Ray tells them, but for a handle of the trial, which they would ask for checkpoints."""
        told = [
            one.actor.init_train_context.remote(
                train_run_context=self._train_run_context,
                distributed_context=one.distributed_context,
                synchronization_actor=sync_actor,
                storage_context=self._storage_context,
                worker_callbacks=self._worker_callbacks_to_propagate,
                controller_actor=None,
                **{name: values[i] for name, values in train_context_args.items()},
            )
            for i, one in enumerate(workers)
        ]
        ray.get(told)
        self._decorate_worker_log_file_paths(workers)


def _worker_called(run: str) -> type:
    """The class of workers that the dashboard shows by their first run."""
    return type("RayTrainWorker", (worker.RayTrainWorker,), {"__repr__": lambda self: run})


class _Controller(TrainController):  # type: ignore[misc]
    worker_group_cls = _WorkerGroup


class _Meeting:
    """Stands for the class of the actor in which workers meet: gives all worker groups of this process the same one."""

    def __init__(self) -> None:
        self._actor: Any = None
        self._options: dict[str, Any] = {}

    def options(self, **options: Any) -> "_Meeting":
        """Note the options with which to start the actor."""
        self._options = options
        return self

    def remote(self, **arguments: Any) -> Any:
        """Return a handle of the actor, which the first call starts."""
        if self._actor is None:
            self._actor = SynchronizationActor.options(**self._options).remote(**arguments)
        return self._actor

    def end(self) -> None:
        """Have the next group meet in a new actor, since somebody may still be waiting in this one."""
        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None


_MEETING = _Meeting()
