"""Decides which runs may start, which ones make room for others, and on which GPUs they train."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.admission.devices import Devices
    from raysweep.admission.gate import Gates, enter_gate
    from raysweep.admission.gpu_sharing import gpu_share
    from raysweep.admission.policy import Admission, RunBundle

__getattr__, __all__ = exporting(
    __name__,
    {
        "devices": ("Devices",),
        "gate": ("Gates", "enter_gate"),
        "gpu_sharing": ("gpu_share",),
        "policy": ("Admission", "RunBundle"),
    },
)
