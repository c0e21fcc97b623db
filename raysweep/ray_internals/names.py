"""What can be said of a private name of Ray, and which features hang on such names."""

from dataclasses import dataclass
from enum import Enum

TRIED = "2.60.0"
"""The version of Ray that all tests were run with."""


class Feature(Enum):
    """What this program can do because of private names. The value says what it does without them."""

    LOCAL_TRAINER = "each training run has a controller of its own, which costs some 7 s of a core"
    KEPT_PROCESSES = "most trials start a process instead of using that of an ended one"
    NOTHING_ASKED = "each trial takes a thousandth of a CPU"
    CLUSTER_ADDRESS = "workers of a lost trial may stay where several clusters run on one machine"
    LOOPBACK = "its sockets may be open to the network"
    SIGNALS = "a SIGTERM or SIGHUP that is sent to a whole process group ends its processes at once"
    WANDB_LOGGER = "it warns that it cannot restart its loggers for W&B"
    MLFLOW_RUNS = "a run that goes on is a new one in MLflow"


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateName:
    """A private name of Ray, as it has to be for a feature."""

    feature: Feature
    module: str
    name: str
    """The name in its module, with dots where it belongs to a class."""
    purpose: str
    """What it is used for."""
    instead: str
    """What Ray would have to offer publicly, so that it were not needed."""
    takes: tuple[str, ...] | None = None
    """The parameters that it is given: it must have them all and demand no others. None where it is not called."""
    overridden: bool = False
    """Whether a class of ours replaces it, so that `takes` has to be all its parameters."""
    mentions: tuple[str, ...] = ()
    """What its code (of a class, that of `__init__`) must mention: fields that it sets, names replaced under it."""
    value: str | None = None
    """What it must be equal to; None where that does not matter."""
