"""A column of a table."""

from dataclasses import dataclass

from analysis.numbers import Form


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the data, and how it is shown."""

    name: str
    heading: str
    form: Form = None
    wrap: bool = False
    """Whether its texts may take several lines."""
