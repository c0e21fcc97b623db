"""Forecasts how long runs will take and what they need, before they start."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.forecasts.forecast import forecasts
    from raysweep.forecasts.machine import machine_of
    from raysweep.forecasts.past import past_spread, with_predictions
    from raysweep.forecasts.plan_view import show_plan
    from raysweep.forecasts.run_costs import RunCosts

__getattr__, __all__ = exporting(
    __name__,
    {
        "forecast": ("forecasts",),
        "machine": ("machine_of",),
        "past": ("past_spread", "with_predictions"),
        "plan_view": ("show_plan",),
        "run_costs": ("RunCosts",),
    },
)
