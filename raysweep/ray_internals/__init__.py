"""Every private name of Ray that is used, and nothing else; what a changed Ray would break is told by `lost`.

Importing this imports no Ray. `local_trainer` and `kept_processes` may be imported only where `lost` finds that this
Ray has the names that they need.
"""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.ray_internals.check import lost, notice
    from raysweep.ray_internals.local_train import local_trainer
    from raysweep.ray_internals.names import Feature
    from raysweep.ray_internals.process_cache import kept_processes
    from raysweep.ray_internals.single_names import (
        ENVIRONMENT,
        NEEDED,
        NEXT_TO_NOTHING,
        SOCKETS,
        hand_on,
        mlflow_runs,
        next_to_nothing,
        on_loopback,
        out_of_reach_of_signals,
        without_restarts,
    )

__getattr__, __all__ = exporting(
    __name__,
    {
        "check": ("lost", "notice"),
        "local_train": ("local_trainer",),
        "names": ("Feature",),
        "process_cache": ("kept_processes",),
        "single_names": (
            "ENVIRONMENT",
            "NEEDED",
            "NEXT_TO_NOTHING",
            "SOCKETS",
            "hand_on",
            "mlflow_runs",
            "next_to_nothing",
            "on_loopback",
            "out_of_reach_of_signals",
            "without_restarts",
        ),
    },
)
