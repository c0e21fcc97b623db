"""Shows a sweep while it runs: in its own terminal, in another one, in a notebook, and in a browser."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.live.output import open_closed_streams, outlived_output
    from raysweep.live.report_process import LiveReport, ReportCommand
    from raysweep.live.serving import serve
    from raysweep.live.status import Status
    from raysweep.live.view import choose_view
    from raysweep.live.watch import watch_sweep

__getattr__, __all__ = exporting(
    __name__,
    {
        "output": ("open_closed_streams", "outlived_output"),
        "report_process": ("LiveReport", "ReportCommand"),
        "serving": ("serve",),
        "status": ("Status",),
        "view": ("choose_view",),
        "watch": ("watch_sweep",),
    },
)
