"""Turns the words of a command line into an ordered list of runs, before anything starts."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.planning.budget import Budget
    from raysweep.planning.changes import describe_changes, made_by_other_code, relations
    from raysweep.planning.commands import shell_commands
    from raysweep.planning.control_groups import memory_limit
    from raysweep.planning.families import datasets_of, families_of, listed
    from raysweep.planning.handed_over import HandedOver
    from raysweep.planning.imported import enter_known
    from raysweep.planning.kept_code import bring_back, run_by_its_own_code
    from raysweep.planning.options import Options, help_text, parse_options
    from raysweep.planning.resources import Resources, local_resources, usable_cpus
    from raysweep.planning.rules import Rules
    from raysweep.planning.runs import PlannedRun, alike, in_bundles, make_runs, settings_of
    from raysweep.planning.schedule import end_of, ends_of
    from raysweep.planning.search import NextStep, search_rounds
    from raysweep.planning.selection import matching, select_family, to_redo
    from raysweep.planning.spec import ParseValues, SweepSpec, sweep_spec
    from raysweep.planning.tidying import tidy
    from raysweep.planning.until_answered import NextSeeds, UntilAnswered

__getattr__, __all__ = exporting(
    __name__,
    {
        "budget": ("Budget",),
        "changes": ("describe_changes", "made_by_other_code", "relations"),
        "commands": ("shell_commands",),
        "control_groups": ("memory_limit",),
        "families": ("datasets_of", "families_of", "listed"),
        "handed_over": ("HandedOver",),
        "imported": ("enter_known",),
        "kept_code": ("bring_back", "run_by_its_own_code"),
        "options": ("Options", "help_text", "parse_options"),
        "resources": ("Resources", "local_resources", "usable_cpus"),
        "rules": ("Rules",),
        "runs": ("PlannedRun", "alike", "in_bundles", "make_runs", "settings_of"),
        "schedule": ("end_of", "ends_of"),
        "search": ("NextStep", "search_rounds"),
        "selection": ("matching", "select_family", "to_redo"),
        "spec": ("ParseValues", "SweepSpec", "sweep_spec"),
        "tidying": ("tidy",),
        "until_answered": ("NextSeeds", "UntilAnswered"),
    },
)
