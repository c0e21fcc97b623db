"""Ray Train runs on this machine, with as few processes as they can do with: the workers, and one in which they meet.

By itself a Train run inside a Tune trial also starts a controller, a queue for its reports, a keeper of datasets and a
cleaner of placement groups, which costs 7.5 s of a core before anything is trained (docs/log.md). Here the controller
runs in the trial's own process, reports go to Tune directly, there are no datasets, and the workers' placement group
holds nothing that others could miss: slots are taken at the gate. The actor in which workers meet to report, which
keeps nothing between two reports, serves the next Train run of the process as well.
"""

import asyncio
from typing import Any
from unittest import mock

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.checkpoint.sync_actor import SynchronizationActor
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group import state, worker_group
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from raysweep.worker import RUN, RayTrainWorker, ReportToTune

NEXT_TO_NOTHING = 0.001
"""CPUs that a worker asks of Ray, which takes no placement group that asks for nothing."""


class LocalTrainer(DataParallelTrainer):  # type: ignore[misc]
    """`TorchTrainer` for the inside of a Tune trial on one machine; the train loop sets up its process group itself."""

    def _create_default_callbacks(self) -> list[Any]:
        left_out = DatasetsCallback, PlacementGroupCleanerCallback
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
    _worker_cls = RayTrainWorker


class _Controller(TrainController):  # type: ignore[misc]
    worker_group_cls = _WorkerGroup


class _Meeting:
    """Stands for the class of the actor in which workers meet: gives all worker groups of this process the same one."""

    def __init__(self) -> None:
        self._actor: Any = None
        self._options: dict[str, Any] = {}

    def options(self, **options: Any) -> "_Meeting":
        """As of an actor's class."""
        self._options = options
        return self

    def remote(self, **arguments: Any) -> Any:
        """A handle of the actor."""
        if self._actor is None:
            self._actor = SynchronizationActor.options(**self._options).remote(**arguments)
        return self._actor

    def end(self) -> None:
        """Have the next group meet in a new one: somebody may still be waiting in this."""
        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None


_MEETING = _Meeting()


def trainer(loop: Any, config: dict[str, Any], *, name: str, storage: str, num_workers: int, threads: int) -> Any:
    """What runs `loop(config)` on so many workers with so many threads each."""
    return LocalTrainer(
        loop,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=num_workers, resources_per_worker={"CPU": NEXT_TO_NOTHING}),
        run_config=RunConfig(
            name=name,
            storage_path=storage,
            callbacks=[ReportToTune()],
            worker_runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads), RUN: name}},
        ),
    )
