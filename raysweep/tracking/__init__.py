"""Sends what runs report to the tools with which people follow experiments."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.tracking.followers import Tracking
    from raysweep.tracking.gauges import Gauges
    from raysweep.tracking.services import Destination, reach

__getattr__, __all__ = exporting(
    __name__,
    {
        "followers": ("Tracking",),
        "gauges": ("Gauges",),
        "services": ("Destination", "reach"),
    },
)
