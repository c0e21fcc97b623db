"""The pages of runs, to which numbers lead: the names of their files, and their addresses."""

import hashlib
import re
from urllib.parse import quote

PAGES = "pages"
"""The folder of the runs' pages, beside the report."""


def page_file(run: str) -> str:
    """The name of the file of a run's page."""
    safe = re.sub(r"[^\w@.=,+-]", "_", run)
    short = safe if len(safe) <= 120 else safe[:120]
    same = short == run
    return f"{short}.html" if same else f"{short}-{hashlib.sha256(run.encode()).hexdigest()[:8]}.html"


def page_link(run: str, pages: str = PAGES) -> str:
    """The relative address of a run's page, given that of the folder of pages; in that folder "" is its address."""
    return f"{pages}/{quote(page_file(run))}" if pages else quote(page_file(run))
