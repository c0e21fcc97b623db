"""The page's style and script, which stand in the report itself, and in files beside the pages of runs."""

from functools import cache
from pathlib import Path
from string import Template

from analysis.verdicts.colours import COLOURS

FOLDER = Path(__file__).parent / "assets"

SCRIPTS = ("state", "tables", "every_run", "unfolding", "comparison", "charts", "reloading")
"""In the order in which they build on each other."""


@cache
def style() -> str:
    """The style of all pages, in which --yes, --no and so on are the colours of the answers."""
    colours = "".join(f" --{answer}: {colour};" for answer, colour in COLOURS.items())
    return f":root {{{colours} }}\n" + (FOLDER / "page.css").read_text(encoding="utf-8")


@cache
def script() -> str:
    """The script of all pages, with names of its own."""
    parts = [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


@cache
def template(name: str) -> Template:
    """The frame of a page, `report` or `run`."""
    return Template((FOLDER / f"{name}.html").read_text(encoding="utf-8"))
