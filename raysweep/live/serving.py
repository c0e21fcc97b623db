"""Serves the report of a results folder to browsers on this machine, or at the other end of a tunnel, while it changes.

Served are report.html, pages/ with their style and script, and tables/ and plots/ where there are some; nothing else of
the folder is.
"""

import contextlib
import errno
import html
import os
import re
import secrets
import stat
import threading
from pathlib import Path

from raysweep.ledger import Ledger, LedgerError, last_change, open_ledger
from raysweep.live.report_process import Refreshes, ReportCommand
from raysweep.live.section import live_section
from raysweep.live.web import Answer, Server
from raysweep.messages import PlanError, reason_of

USUAL_PORT = 8321
REPORT, LIVE = "report.html", "live"
_NAME = r"[^/\\\0.][^/\\\0]*"
SERVED = re.compile(
    rf"{REPORT}|pages/({_NAME}\.html|page\.(css|js))|tables/{_NAME}\.(csv|md|tex|html)|plots/{_NAME}\.(png|svg|pdf)"
)
"""The names of files that are served, as seen from the results folder."""
SECTION = b'<section id="live"'
"""What a page holds that was written while a sweep was alive."""
TYPES = {
    **{".html": "text/html; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".pdf": "application/pdf"},
    **{".md": "text/plain; charset=utf-8", ".tex": "text/plain; charset=utf-8"},
    **{".png": "image/png", ".svg": "image/svg+xml"},
    **{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"},
}
SOON = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10">'
    "<title>{title}</title></head>\n<body><h1>{title}</h1>\n<p>The report comes with the first run that ends.</p>\n"
    "{section}</body></html>\n"
)


def serve(results: str, port: int | None, command: ReportCommand) -> None:
    """Serve the report of a results folder on loopback until Ctrl-C, and print the address, which holds a token.

    `port` is 0 for any free one, and None for the usual one or else a free one. Raises PlanError for a port that cannot
    be had, and LedgerError for a place that is no folder of results.
    """
    ledger = open_ledger(results)
    if ledger.store.is_remote:
        raise LedgerError(f"--serve takes a results folder; `python -m analysis {results} --out DIR` makes a report")
    if not (ledger.has_records() or (ledger.folder / "status.json").exists()):
        raise LedgerError(f"{ledger.location} holds no results of a sweep")
    with (
        contextlib.closing(Site(ledger, command)) as site,
        _server(site, port) as server,
        contextlib.suppress(KeyboardInterrupt),
    ):
        site.page()
        address = f"http://127.0.0.1:{server.server_port}/?token={server.token}"
        print(f"report of {ledger.location}: {address} (Ctrl-C ends it)", flush=True)
        server.serve_forever()


def _server(site: "Site", port: int | None) -> Server:
    token = secrets.token_urlsafe(32)
    try:
        return Server(USUAL_PORT if port is None else port, token, site.get)
    except OSError as error:
        if port is not None:
            why = "it is in use" if error.errno == errno.EADDRINUSE else reason_of(error)
            raise PlanError(f"--port {port} cannot be had ({why})") from None
        return Server(0, token, site.get)


class Site:
    """What is served of a results folder, from any thread."""

    def __init__(self, ledger: Ledger, command: ReportCommand) -> None:
        self._ledger = ledger
        self._refreshes = Refreshes(command, ledger.location)
        self._one_at_a_time = threading.Lock()
        self._failed: tuple[int, str] = -1, ""
        """The last change of the results for which no report could be made, and why."""

    def close(self) -> None:
        """End a refresh that is going on."""
        self._refreshes.end()

    def get(self, path: str) -> Answer | None:
        """What there is at a path, such as `/` or `/pages/C-s42-1f2e3d4c.html`; None where nothing is served."""
        name = path.removeprefix("/")
        if name in ("", REPORT):
            return self.page()
        if name == LIVE:
            return Answer(live_section(self._ledger).encode(errors="replace"), TYPES[".html"])
        content = _read(self._ledger.folder, name) if SERVED.fullmatch(name) else None
        if content is None:
            return None
        return Answer(content, TYPES[Path(name).suffix], has_scripts=name.startswith("pages/"))

    def page(self) -> Answer:
        """The report, which is made anew where no sweep that would do so is alive and results have come or gone."""
        section = live_section(self._ledger)
        if not section:
            with self._one_at_a_time:
                self._refresh()
        content = _read(self._ledger.folder, REPORT)
        if content is not None:
            return Answer(content, TYPES[".html"], has_scripts=True)
        if section:
            text = SOON.format(title=html.escape(f"Results of {self._ledger.location}"), section=section)
            return Answer(text.encode(errors="replace"), TYPES[".html"])
        return Answer(f"no report can be made: {self._failed[1]}\n".encode(errors="replace"), TYPES[".md"], status=503)

    def _refresh(self) -> None:
        """Make the report anew if it is outdated, unless that has failed since the results were last changed."""
        changed, page = last_change(self._ledger.folder), self._ledger.folder / REPORT
        try:
            is_current = page.stat().st_mtime_ns >= changed and SECTION not in page.read_bytes()
        except OSError:
            is_current = False
        if is_current or self._failed[0] == changed:
            return
        try:
            why = self._refreshes.refresh("")
        except OSError as error:
            why = reason_of(error)
        self._failed = (changed, why) if why else (-1, "")


def _read(folder: Path, name: str) -> bytes | None:
    """The content of a file of a folder; None where there is none, and for links and what is no file."""
    file = folder / name
    try:
        if file.resolve(strict=True) != folder.resolve() / name:
            return None
        opened = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(opened, "rb") as stream:
            return stream.read() if stat.S_ISREG(os.fstat(opened).st_mode) else None
    except OSError:
        return None
