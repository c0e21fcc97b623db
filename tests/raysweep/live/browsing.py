"""A results folder whose pages are served, and a browser that asks for them."""

import contextlib
import http.client
import socket
import sys
import threading

from raysweep.ledger.opening import open_ledger
from raysweep.live.serving import Site
from raysweep.live.web import Server

SECRET = "secret of the results"
PAGE = "<!doctype html><title>The report</title>"
MAKES = """
import sys, os
sys.stdin.read()
with open(sys.argv[1] + "/made", "a") as made:
    made.write("x")
open(sys.argv[1] + "/report.html", "w").write("made anew")
"""
"""Stands for the command that makes a report."""


def command(code: str):
    return lambda location: [sys.executable, "-c", code, location]


class Browser:
    """Sends requests to a server, each over a connection of its own."""

    def __init__(self, server: Server) -> None:
        self.server, self.port = server, server.server_port
        self.bearer = {"Authorization": f"Bearer {server.token}"}

    def ask(self, path: str, method: str = "GET", headers=None, **more) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers by their names in lower case, and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, headers=self.bearer if headers is None else headers, **more)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def raw(self, request: bytes) -> bytes:
        """What the server sends back to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextlib.contextmanager
def browsing(folder, code: str = MAKES):
    """A browser at a server of the folder, in this process."""
    with (
        contextlib.closing(Site(open_ledger(folder), command(code))) as site,
        Server(0, "token-of-this-test", site.get) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Browser(server)
        finally:
            server.shutdown()
            thread.join()
