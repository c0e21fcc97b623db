"""How long runs will take and what they need, before they start."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.forecasts.calibration import calibrate
    from raysweep.forecasts.forecast import forecasts
    from raysweep.forecasts.past import past_error, with_predictions
    from raysweep.forecasts.plan_view import print_plan
    from raysweep.forecasts.planning import plan_as_json, rows_of, setting_of, total_of

__getattr__, __all__ = exporting(
    __name__,
    {
        "calibration": ("calibrate",),
        "forecast": ("forecasts",),
        "past": ("past_error", "with_predictions"),
        "plan_view": ("print_plan",),
        "planning": ("plan_as_json", "rows_of", "setting_of", "total_of"),
    },
)
