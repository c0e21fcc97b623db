"""A results folder with pages, and a browser at a server of it."""

import os
import time

import pytest

from tests.raysweep.live.browsing import PAGE, SECRET, browsing


@pytest.fixture
def folder(tmp_path):
    """A results folder with a page for everything, and with things that are nobody's business."""
    folder = tmp_path / "results"
    for name in ("records", "pages", "tables", "plots", "code"):
        (folder / name).mkdir(parents=True)
    for name in (
        "records/a-s0-1.json",
        "plan.json",
        "status.json.bak",
        ".hidden.html",
        "pages/.hidden.html",
        "code/a.py",
    ):
        (folder / name).write_text(SECRET)
    (tmp_path / "outside.html").write_text(SECRET)
    for name in ("pages/a-s0-1.html", "pages/page.css", "pages/page.js", "tables/summary.csv", "plots/effects.svg"):
        (folder / name).write_text(name)
    (folder / "report.html").write_text(PAGE)
    for name, hours in (("records", 2), ("plan.json", 2), ("report.html", 1)):
        os.utime(folder / name, (time.time() - 3600 * hours,) * 2)
    return folder


@pytest.fixture
def browser(folder):
    with browsing(folder) as browser:
        yield browser
