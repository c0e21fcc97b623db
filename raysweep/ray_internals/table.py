"""All private names of Ray that are used. A test compares this table with the Ray that is installed."""

from raysweep.ray_internals.names import Feature, PrivateName

_TRAIN = "ray.train.v2._internal"
_CALLBACKS = f"{_TRAIN}.callbacks"
_GROUP = f"{_TRAIN}.execution.worker_group"
_API = "ray.train.v2.api.data_parallel_trainer"
_TUNE = "ray.tune.execution.tune_controller"

_IN_TRIAL = "a trainer whose controller runs in the calling process"
_CHOICE = "a choice of built-in callbacks in RunConfig"
_BARE_WORKERS = "workers in the environment of the cluster, which may be prestarted"
_LEAN_CONTEXT = "workers that are told of the trial only what they ask for"
_ONE_MEETING = "a barrier between workers that is no actor, or one actor for many runs"

_LOCAL_TRAINER = (
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

_KEPT_PROCESSES = (
    PrivateName(
        feature=Feature.KEPT_PROCESSES,
        module=_TUNE,
        name="TuneController.__init__",
        mentions=("_ObjectCache",),
        purpose="giving Tune another cache of processes",
        instead="TuneConfig(reuse_actors=True) that keeps the processes of all ended trials",
    ),
    PrivateName(
        feature=Feature.KEPT_PROCESSES,
        module=_TUNE,
        name="_ObjectCache",
        mentions=("_cached_objects", "_num_cached_objects"),
        purpose="the base of that cache",
        instead="TuneConfig(reuse_actors=True) that keeps the processes of all ended trials",
    ),
    *(
        PrivateName(
            feature=Feature.KEPT_PROCESSES,
            module=_TUNE,
            name=f"_ObjectCache.{name}",
            takes=takes,
            overridden=True,
            purpose=purpose,
            instead="TuneConfig(reuse_actors=True) that ends no process which is starting for a trial",
        )
        for name, takes, purpose in (
            ("cache_object", ("key", "obj"), "keeping each process"),
            ("increase_max", ("key", "by"), "noticing that a trial begins"),
            ("has_cached_object", ("key",), "offering a process to a trial that begins, and to no other"),
            ("pop_cached_object", ("key",), "giving it"),
            ("flush_cached_objects", ("force_all",), "ending processes at the end alone"),
        )
    ),
)

NAMES: tuple[PrivateName, ...] = (
    *_LOCAL_TRAINER,
    *_KEPT_PROCESSES,
    PrivateName(
        feature=Feature.NOTHING_ASKED,
        module="ray._common.constants",
        name="HEAD_NODE_RESOURCE_NAME",
        value="node:__internal_head__",
        purpose="a resource that a trial can ask for a trace of, since Tune wants it to ask for something",
        instead="a PlacementGroupFactory that asks for nothing",
    ),
    PrivateName(
        feature=Feature.CLUSTER_ADDRESS,
        module=f"{_TRAIN}.constants",
        name="get_env_vars_to_propagate",
        mentions=("ENV_VARS_TO_PROPAGATE",),
        purpose="handing RAY_ADDRESS to what frees the workers of a dead controller, which asks the State API",
        instead="a State API that asks the cluster of the process that calls it",
    ),
    PrivateName(
        feature=Feature.CLUSTER_ADDRESS,
        module=f"{_TRAIN}.constants",
        name="ENV_VARS_TO_PROPAGATE.add",
        purpose="the set of variables that are handed on, to which that one is added",
        instead="a State API that asks the cluster of the process that calls it",
    ),
    PrivateName(
        feature=Feature.LOOPBACK,
        module="ray",
        name="init",
        mentions=("_node_ip_address",),
        purpose="starting the cluster of a sweep on 127.0.0.1",
        instead="an argument of ray.init for the interface to listen on",
    ),
    PrivateName(
        feature=Feature.LOOPBACK,
        module="ray._private.ray_constants",
        name="ENABLE_RAY_CLUSTERS_ENV_VAR",
        value="RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        purpose="the environment variable that holds Ray to the loopback interface on Windows and OSX, here too",
        instead="an argument of ray.init for the interface to listen on",
    ),
    PrivateName(
        feature=Feature.WANDB_LOGGER,
        module="ray.air.integrations.wandb",
        name="WandbLoggerCallback._logger_actor_cls",
        purpose="the class of the actor that speaks to W&B, of which we make one without restarts",
        instead="options of that actor in WandbLoggerCallback",
    ),
    PrivateName(
        feature=Feature.WANDB_LOGGER,
        module="ray.air.integrations.wandb",
        name="WandbLoggerCallback._start_logging_actor",
        mentions=("_remote_logger_class",),
        purpose="the field that holds it",
        instead="options of that actor in WandbLoggerCallback",
    ),
    PrivateName(
        feature=Feature.MLFLOW_RUNS,
        module="ray.air.integrations.mlflow",
        name="MLflowLoggerCallback.setup",
        mentions=("_trial_runs",),
        purpose="which run of MLflow's belongs to a trial, to read and to set",
        instead="a run's id as an argument of MLflowLoggerCallback, as W&B's takes it from the trial",
    ),
)
