"""Runs a plan on Ray: the queue of trials, their processes, and what is done when these fail."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.running.cluster import (
        concurrent_trials,
        end_process,
        own_cluster,
        prepare_own_environment,
        running_cluster,
    )
    from raysweep.running.health import RayLostError
    from raysweep.running.interrupts import Interrupts
    from raysweep.running.launcher import launch
    from raysweep.running.placement import ClusterPlacement, LocalPlacement, Placement
    from raysweep.running.requirements import require_environment
    from raysweep.running.token import where_the_token_is

__getattr__, __all__ = exporting(
    __name__,
    {
        "cluster": (
            "concurrent_trials",
            "end_process",
            "own_cluster",
            "prepare_own_environment",
            "running_cluster",
        ),
        "health": ("RayLostError",),
        "interrupts": ("Interrupts",),
        "launcher": ("launch",),
        "placement": ("ClusterPlacement", "LocalPlacement", "Placement"),
        "requirements": ("require_environment",),
        "token": ("where_the_token_is",),
    },
)
