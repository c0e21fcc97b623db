"""Chromium, driven by Playwright, for the tests of pages: the one of the system, since nothing is downloaded."""

import contextlib
import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")


def path() -> str | None:
    """Where Chromium is; None where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Watched:
    """A page with what it asked for beyond itself, and what its console said."""

    def __init__(self, page):
        self.page, self.asked, self.said = page, [], []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))

    @property
    def foreign(self) -> list[str]:
        """Requests that leave the machine."""
        return [url for url in self.asked if not url.startswith(("file:", "data:", "http://127.0.0.1:"))]


@contextlib.contextmanager
def opened(file: Path | str, width: int = 1200, height: int = 900):
    """A page of Chromium that shows a file or an address."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=[*FLAGS, *QUIET])
        watched = Watched(browser.new_page(viewport={"width": width, "height": height}))
        watched.page.goto(file if isinstance(file, str) else file.as_uri())
        try:
            yield watched
        finally:
            browser.close()
