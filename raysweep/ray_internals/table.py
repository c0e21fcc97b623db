"""All private names of Ray that are used. A test compares this table with the Ray that is installed."""

from raysweep.ray_internals.names import Feature, PrivateName
from raysweep.ray_internals.trainer_table import LOCAL_TRAINER

_TRAIN = "ray.train.v2._internal"
_TUNE = "ray.tune.execution.tune_controller"

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
    *LOCAL_TRAINER,
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
        feature=Feature.SIGNALS,
        module="ray._private.services",
        name="start_ray_process",
        mentions=("ConsolePopen",),
        purpose="the function by which all processes of a cluster start, where the next name is replaced",
        instead="an argument of ray.init for processes that signals to the driver's group do not reach",
    ),
    PrivateName(
        feature=Feature.SIGNALS,
        module="ray._private.services",
        name="ConsolePopen",
        purpose="starting them with start_new_session=True",
        instead="an argument of ray.init for processes that signals to the driver's group do not reach",
    ),
    PrivateName(
        feature=Feature.SIGNALS,
        module="ray._private.utils",
        name="set_sigterm_handler",
        takes=("sigterm_handler",),
        purpose="setting no handler, whose exception could get lost while Ray starts, with a lock of logging's held",
        instead="an argument of ray.init for who handles signals",
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
