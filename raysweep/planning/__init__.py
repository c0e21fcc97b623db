"""From the words of a command line to an ordered list of runs, before anything starts."""

from typing import TYPE_CHECKING

from raysweep.lazy import exporting

if TYPE_CHECKING:
    from raysweep.planning.changes import describe_changes, relations
    from raysweep.planning.commands import shell_commands
    from raysweep.planning.imported import accept_imported
    from raysweep.planning.options import fail, pairs, parse_options
    from raysweep.planning.resources import Resources, local_resources
    from raysweep.planning.rules import Rules
    from raysweep.planning.runs import PlannedRun, alike, in_bundles, make_runs, settings_of
    from raysweep.planning.schedule import end_of
    from raysweep.planning.search import Results, rounds
    from raysweep.planning.selection import matching, select, select_family

__getattr__, __all__ = exporting(
    __name__,
    {
        "changes": ("describe_changes", "relations"),
        "commands": ("shell_commands",),
        "imported": ("accept_imported",),
        "options": ("fail", "pairs", "parse_options"),
        "resources": ("Resources", "local_resources"),
        "rules": ("Rules",),
        "runs": ("PlannedRun", "alike", "in_bundles", "make_runs", "settings_of"),
        "schedule": ("end_of",),
        "search": ("Results", "rounds"),
        "selection": ("matching", "select", "select_family"),
    },
)
