"""The documentation names what there is: every option, and only files that exist."""

import re
from urllib.parse import unquote

import pytest

from tests.conftest import ROOT, run_sweep

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")])


def anchors(page) -> set[str]:
    """The anchors that a page's headings have on the usual sites."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} in {page.name}"
        assert not anchor or anchor in anchors(target), f"{link} in {page.name}"


def test_every_option_is_documented():
    known = set(re.findall(r"--[a-z][a-z-]+", run_sweep("--help").stdout))
    documented = set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs" / "options.md").read_text()))
    assert known - documented == set()


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 150
    assert max(map(len, lines)) <= 160
    assert sum(line.startswith("![") for line in lines) == 2
