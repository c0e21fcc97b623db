"""The private names of Ray that `local_train` uses."""

from raysweep.ray_internals.names import Feature, PrivateName

_TRAIN = "ray.train.v2._internal"
_CALLBACKS = f"{_TRAIN}.callbacks"
_GROUP = f"{_TRAIN}.execution.worker_group"
_API = "ray.train.v2.api.data_parallel_trainer"

_IN_TRIAL = "a trainer whose controller runs in the calling process"
_CHOICE = "a choice of built-in callbacks in RunConfig"
_BARE_WORKERS = "workers in the environment of the cluster, which may be prestarted"
_LEAN_CONTEXT = "workers that are told of the trial only what they ask for"
_ONE_MEETING = "a barrier between workers that is no actor, or one actor for many runs"

LOCAL_TRAINER = (
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=_API,
        name="DataParallelTrainer",
        takes=("train_loop_per_worker", "train_loop_config", "scaling_config", "run_config"),
        purpose="the base of LocalTrainer",
        instead=_IN_TRIAL,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=_API,
        name="DataParallelTrainer._create_default_callbacks",
        takes=(),
        overridden=True,
        purpose="leaving out callbacks that start processes",
        instead=_CHOICE,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=_API,
        name="DataParallelTrainer._initialize_and_run_controller",
        takes=("**",),
        overridden=True,
        purpose="running the controller without an actor",
        instead=_IN_TRIAL,
    ),
    *(
        PrivateName(
            feature=Feature.LOCAL_TRAINER,
            module=f"{_CALLBACKS}.{module}",
            name=name,
            purpose=f"being left out: it starts {starts}",
            instead=_CHOICE,
        )
        for module, name, starts in (
            ("datasets", "DatasetsCallback", "a keeper of datasets"),
            ("placement_group_callback", "PlacementGroupCleanerCallback", "a cleaner of placement groups"),
            ("metrics", "WorkerMetricsCallback", "Prometheus metrics in each worker"),
        )
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_CALLBACKS}.state_manager",
        name="_get_framework_version",
        purpose="being called here instead of on a worker, which would import for it",
        instead=_CHOICE,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_TRAIN}.execution.controller",
        name="TrainController",
        mentions=("_train_run_context",),
        purpose="the base of the controller that runs in the trial",
        instead=_IN_TRIAL,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_TRAIN}.execution.controller",
        name="TrainController._start_worker_group",
        mentions=("worker_group_cls", "create"),
        purpose="giving it a class of worker groups",
        instead=_BARE_WORKERS,
    ),
    *(
        PrivateName(
            feature=Feature.LOCAL_TRAINER,
            module=f"{_TRAIN}.execution.controller",
            name=f"TrainController.{name}",
            takes=(),
            purpose="running it",
            instead=_IN_TRIAL,
        )
        for name in ("run", "get_result")
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup",
        takes=("train_run_context", "worker_group_context", "callbacks"),
        mentions=("_train_run_context", "_storage_context", "_worker_callbacks_to_propagate"),
        purpose="the base of the worker group, whose fields workers are told",
        instead=_LEAN_CONTEXT,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup._create_workers",
        mentions=("_worker_cls", "_get_worker_runtime_env"),
        purpose="giving workers a class that the dashboard shows by the name of their run",
        instead="a name of a Train run's workers on the dashboard",
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker",
        name="RayTrainWorker",
        purpose="the base of that class",
        instead="a name of a Train run's workers on the dashboard",
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup.execute_single",
        takes=("rank", "fn", "*", "**"),
        overridden=True,
        purpose="asking for versions of libraries in this process",
        instead=_CHOICE,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup._get_worker_runtime_env",
        takes=("custom_runtime_env",),
        overridden=True,
        purpose="starting workers without a runtime environment, which sends them through a second Python",
        instead=_BARE_WORKERS,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup._init_train_context",
        mentions=("_init_train_context_on_workers",),
        purpose="telling workers what they need and no more",
        instead=_LEAN_CONTEXT,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup._init_train_context_on_workers",
        takes=("workers", "sync_actor", "train_context_args"),
        overridden=True,
        purpose="telling workers what they need and no more",
        instead=_LEAN_CONTEXT,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup._decorate_worker_log_file_paths",
        takes=("workers",),
        purpose="ending what the method above does as Ray does",
        instead=_LEAN_CONTEXT,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker",
        name="RayTrainWorker.init_train_context",
        takes=(
            *("train_run_context", "distributed_context", "synchronization_actor", "storage_context"),
            *("worker_callbacks", "controller_actor"),
        ),
        purpose="telling workers what they need and no more",
        instead=_LEAN_CONTEXT,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_GROUP}.worker_group",
        name="WorkerGroup._start_impl",
        mentions=("SynchronizationActor", "options", "remote"),
        purpose="having the workers of all runs of a process meet in one actor",
        instead=_ONE_MEETING,
    ),
    PrivateName(
        feature=Feature.LOCAL_TRAINER,
        module=f"{_TRAIN}.execution.checkpoint.sync_actor",
        name="SynchronizationActor.options",
        purpose="starting that actor",
        instead=_ONE_MEETING,
    ),
    *(
        PrivateName(
            feature=Feature.LOCAL_TRAINER,
            module=f"{_GROUP}.state",
            name=f"{name}.shutdown",
            mentions=("_shutdown_sync_actor",),
            purpose="leaving that actor alive at the end of a run",
            instead=_ONE_MEETING,
        )
        for name in ("WorkerGroupState", "WorkerGroupStateBuilder")
    ),
)
