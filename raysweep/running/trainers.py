"""Which trainer of Ray Train runs the workers of a trial: on this machine or on a cluster.

On this machine workers wait at a gate, hold next to nothing of Ray's and find each other by a file. They are run by the
process of the trial itself, or by a `TorchTrainer` with all its helpers where this Ray does not allow that.
"""

from typing import Any

from ray.train import RunConfig, ScalingConfig
from ray.tune.integration.ray_train import TuneReportCallback

from raysweep.ray_internals import NEXT_TO_NOTHING, Feature
from raysweep.running.spec import WorkerSpec
from raysweep.running.worker import ReportToTune, train_loop


def trainer(told: WorkerSpec, *, name: str, storage: str) -> Any:
    """The trainer of a Train run of this name over attempts at runs of a trial; its `fit` does them."""
    trial, num_workers = told.trial, told.attempts[0].run.num_workers
    config = {"spec": told}
    if not trial.gate:
        resources = ScalingConfig(
            num_workers=num_workers,
            use_gpu="GPU" in trial.per_worker,
            resources_per_worker=dict(trial.per_worker),
        )
        return _torch_trainer(config, resources, RunConfig(name=name, storage_path=storage))
    if Feature.LOCAL_TRAINER not in trial.without:
        from raysweep.ray_internals import local_trainer

        return local_trainer(
            train_loop, config, name=name, storage=storage, num_workers=num_workers, callbacks=[ReportToTune()]
        )
    from raysweep.running.torch_config import NoProcessGroup

    threads = {"OMP_NUM_THREADS": str(trial.threads)}  # for torch, which workers import with their configuration
    return _torch_trainer(
        config,
        ScalingConfig(num_workers=num_workers, resources_per_worker={"CPU": NEXT_TO_NOTHING}),
        RunConfig(name=name, storage_path=storage, worker_runtime_env={"env_vars": threads}),
        NoProcessGroup(),
    )


def _torch_trainer(
    config: dict[str, WorkerSpec], resources: ScalingConfig, run_config: RunConfig, torch_config: Any = None
) -> Any:
    """A `TorchTrainer` that reports to the Tune trial whose process this is."""
    from ray.train.torch import TorchTrainer  # imports torch, which a trial with a local trainer does without

    run_config.callbacks = [TuneReportCallback()]
    return TorchTrainer(
        train_loop,
        train_loop_config=config,
        scaling_config=resources,
        run_config=run_config,
        torch_config=torch_config,
    )
