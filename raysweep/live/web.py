"""A server of pages on loopback, for those alone who know its token.

Browsers get a cookie for the token that stands in the address; other programs send it as a bearer token. Pages of other
sites reach nothing: the cookie is not sent with their requests, and a name of theirs that leads here is no loopback
name.
"""

import hashlib
import re
import secrets
import socketserver
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from raysweep.messages import one_line

HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
"""What a browser on this machine, or at the other end of a tunnel, sends as the name of the server."""
NOTHING_ELSE = (
    "default-src 'none'; style-src 'unsafe-inline' 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
WITH_SCRIPTS = f"{NOTHING_ELSE}; script-src 'unsafe-inline' 'self'; connect-src 'self'"
"""What a page may load and ask for: what stands in it and, if it has scripts, what this server has."""
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent to a browser."""

    content: bytes
    type: str
    status: int = 200
    has_scripts: bool = False
    """Whether scripts that stand in the content may run."""


class Server(ThreadingHTTPServer):
    """A server on 127.0.0.1, which prints nothing."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, token: str, get: Callable[[str], Answer | None]) -> None:
        """`get` returns what there is at a path, or None. Raises OSError where the port cannot be had."""
        self.token, self.get = token, get
        self.cookie = f"raysweep_{hashlib.sha256(token.encode()).hexdigest()[:8]}"
        """The cookie's name, of its own for each server, since browsers tell no ports of a host apart."""
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Take the port; the name of this machine is not asked for, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in a line what went wrong, unless a browser has but gone away."""
        error = sys.exception()
        if error and not isinstance(error, OSError):
            print(f"error: {one_line(error)}", file=sys.stderr, flush=True)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server
    server_version, sys_version = "raysweep", ""
    timeout = 60
    """Seconds that a browser may take to send a request, or to read a part of the answer."""

    def do_GET(self) -> None:
        """Send what there is at the path to whoever has the token."""
        if not self._is_for_this_machine():
            self._refuse("this server answers to the names of the machine itself alone")
            return
        path, _, query = self.path.partition("?")
        path = unquote(path)
        if any(self._is_token(one) for one in parse_qs(query).get("token", ())):
            cookie = f"{self.server.cookie}={self.server.token}; Path=/; HttpOnly; SameSite=Strict"
            target = f"/{quote(path.lstrip('/'))}"
            self._send(Answer(b"", TEXT, status=HTTPStatus.SEE_OTHER), {"Location": target, "Set-Cookie": cookie})
        elif not self._has_token():
            self._refuse("open the address that the server has printed, with its token")
        else:
            self._send(self.server.get(path) or Answer(b"there is no such page\n", TEXT, status=HTTPStatus.NOT_FOUND))

    def do_HEAD(self) -> None:
        """Send the headers of what there is."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no proper request, and all methods but two."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code = HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True
        self._send(Answer(f"{HTTPStatus(code).phrase}\n".encode(), TEXT, status=code), {"Allow": "GET, HEAD"})

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _is_for_this_machine(self) -> bool:
        names = self.headers.get_all("Host") or []
        return len(names) == 1 and HOST.fullmatch(names[0].strip()) is not None

    def _has_token(self) -> bool:
        kind, _, bearer = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        cookies = [one.strip().partition("=") for one in ";".join(self.headers.get_all("Cookie") or []).split(";")]
        return any(name == self.server.cookie and self._is_token(value) for name, _, value in cookies)

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(errors="replace"), self.server.token.encode())

    def _refuse(self, why: str) -> None:
        self._send(Answer(f"{why}\n".encode(), TEXT, status=HTTPStatus.FORBIDDEN))

    def _send(self, answer: Answer, headers: dict[str, str] | None = None) -> None:
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": answer.type,
            "Content-Length": str(len(answer.content)),
            "Content-Security-Policy": WITH_SCRIPTS if answer.has_scripts else NOTHING_ELSE,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)
