"""A column of a table."""

from dataclasses import dataclass

from analysis.numbers import Form

LABEL, WARNING, PLAIN = 100, 90, 50
"""Importances: of what says which row it is, of what is wrong with it, and of columns about which nothing is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the data, and how it is shown."""

    name: str
    heading: str
    form: Form = None
    wrap: bool = False
    """Whether its texts may take several lines."""
    importance: int = PLAIN
    """Where the columns do not fit into a terminal, the least important is left out first, of equal ones the last; from
    `LABEL` on none is."""
