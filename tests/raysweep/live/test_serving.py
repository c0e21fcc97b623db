"""The server of the report: a real one on loopback, and all that it refuses to whom and to send."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.live.serving import USUAL_PORT, Site
from raysweep.live.web import Server
from tests.conftest import ROOT
from tests.raysweep.live.sweep import Sweep, planned

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


@pytest.fixture
def browser(folder):
    with browsing(folder) as browser:
        yield browser


def test_whoever_comes_with_the_token_gets_a_cookie_and_with_it_the_pages(browser):
    status, headers, _ = browser.ask("/?token=token-of-this-test", headers={})
    assert (status, headers["location"]) == (303, "/")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(attributes)
    mine = {"Cookie": f"other=1; {cookie}; another=2"}
    assert browser.ask("/", headers=mine)[2] == PAGE.encode()
    assert browser.ask("/report.html", headers=mine)[2] == PAGE.encode()
    assert browser.ask("/pages/a-s0-1.html", headers=mine)[2] == b"pages/a-s0-1.html"
    assert browser.ask("/pages/page.css", headers=mine)[1]["content-type"].startswith("text/css")
    assert browser.ask("/pages/page.js", headers=mine)[1]["content-type"].startswith("text/javascript")
    assert browser.ask("/tables/summary.csv", headers=mine)[1]["content-type"].startswith("text/csv")
    assert browser.ask("/plots/effects.svg", headers=mine)[1]["content-type"] == "image/svg+xml"


def test_a_program_may_send_the_token_as_a_bearer(browser):
    assert browser.ask("/")[0] == 200


WITHOUT = (
    ("/", {}),
    ("/?token=", {}),
    ("/?token=token-of-this-tes", {}),
    ("/?token=token-of-this-test2", {}),
    ("/?token=t%C3%B6ken", {}),
    ("/?Token=token-of-this-test", {}),
    ("/", {"Authorization": "Bearer"}),
    ("/", {"Authorization": "Bearer token-of-this-tesT"}),
    ("/", {"Authorization": "Basic token-of-this-test"}),
    ("/", {"Cookie": "raysweep=token-of-this-test"}),
    ("/", {"Cookie": "token-of-this-test"}),
    ("/nothing", {}),
    ("/live", {}),
    ("/plan.json", {}),
)


@pytest.mark.parametrize(("path", "headers"), WITHOUT)
def test_without_the_token_there_is_nothing_to_be_had_or_found_out(browser, path, headers):
    status, answered, content = browser.ask(path, headers=headers)
    assert status == 403
    assert "set-cookie" not in answered
    assert content == b"open the address that the server has printed, with its token\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "LOCALHOST:1", "[::1]:8321", "127.0.0.1:65535"])
def test_the_other_end_of_a_tunnel_may_have_any_port(browser, host):
    assert browser.ask("/", headers={**browser.bearer, "Host": host})[0] == 200


HOSTS = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:80",
    "127.0.0.2",
    "0.0.0.0",
    "",
    "localhost:a",
)


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_somebody_has_let_lead_here_is_refused_even_with_the_token(browser, host):
    for path in ("/", "/?token=token-of-this-test"):
        status, headers, _ = browser.ask(path, headers={**browser.bearer, "Host": host})
        assert status == 403
        assert "set-cookie" not in headers


def test_two_hosts_or_none_are_refused(browser):
    token = b"Authorization: Bearer token-of-this-test\r\n"
    two = browser.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + token + b"\r\n")
    none = browser.raw(b"GET / HTTP/1.0\r\n" + token + b"\r\n")
    assert two.split()[1] == none.split()[1] == b"403"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(browser, method):
    status, headers, content = browser.ask("/", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert PAGE.encode() not in content


def test_a_head_has_the_headers_of_the_page_and_no_body(browser):
    status, headers, content = browser.ask("/", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["content-length"]) == len(PAGE)


OUTSIDE = (
    *("/../outside.html", "/pages/../../outside.html", "/pages/..%2f..%2foutside.html", "/%2e%2e/outside.html"),
    *("/pages/..%5c..%5coutside.html", "//etc/passwd", "/etc/passwd", "/pages/%2e%2e/report.html", "/./report.html"),
    *("/records/a-s0-1.json", "/pages/../records/a-s0-1.json", "/plan.json", "/status.json", "/status.json.bak"),
    *("/.hidden.html", "/pages/.hidden.html", "/code/a.py", "/pages", "/pages/", "/records/", "/tables/", "/lock"),
    *("/pages/a-s0-1.html/", "/pages/a-s0-1.html%00.html", "/pages/x/y.html", "/report.html%0d%0aSet-Cookie:a=b"),
    *("/pages/link.html", "/pages/inside.html", "/plots/out/x.png", "/tables/pipe.csv", "/pages/folder.html"),
    *("http://localhost/plan.json", "/pages/%ff.html", "/live/", "/report.html/plan.json"),
)


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_served(folder, browser, path):
    (folder / "pages" / "link.html").symlink_to(folder.parent / "outside.html")
    (folder / "pages" / "inside.html").symlink_to(folder / "records" / "a-s0-1.json")
    (folder / "plots" / "out").symlink_to(folder / "records")
    (folder / "pages" / "folder.html").mkdir()
    os.mkfifo(folder / "tables" / "pipe.csv")
    status, headers, content = browser.ask(path)
    assert (status, content) == (404, b"there is no such page\n")
    assert "set-cookie" not in headers


def test_a_folder_of_pages_that_is_a_link_to_elsewhere_is_not_served(folder, browser):
    (folder / "plots" / "effects.svg").unlink()
    (folder / "plots").rmdir()
    (folder / "plots").symlink_to(folder.parent)
    (folder.parent / "effects.svg").write_text(SECRET)
    assert browser.ask("/plots/effects.svg")[0] == 404


def test_the_way_on_after_the_token_stays_on_this_server(browser):
    for path, target in (("//evil.example/", "/evil.example/"), ("/a%0d%0ab", "/a%0D%0Ab"), ("/%5cevil", "/%5Cevil")):
        status, headers, _ = browser.ask(f"{path}?token=token-of-this-test", headers={})
        assert (status, headers["location"]) == (303, target)


def test_pages_load_nothing_from_anywhere_and_are_not_kept(browser):
    for path in ("/", "/pages/a-s0-1.html", "/plots/effects.svg", "/nothing", "/live"):
        headers = browser.ask(path)[1]
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy.pop("default-src") == "'none'"
        assert policy.pop("img-src") == "data:"
        assert not re.search(r"http|\*|eval", " ".join(policy.values()))
        assert ("script-src" in policy) == (path in ("/", "/pages/a-s0-1.html"))
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_what_is_no_request_gets_a_short_answer_and_harms_nobody(browser):
    for request in (
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G" * 70_000 + b"\r\n\r\n",
    ):
        assert SECRET.encode() not in browser.raw(request)
    assert browser.ask("/")[0] == 200


def test_while_a_sweep_is_alive_its_table_is_served_as_it_is_now_and_the_page_is_left_to_it(folder):
    run = planned("trains")
    sweep = Sweep(folder, [run])
    (folder / "report.html").unlink()
    with open_ledger(folder).store.locked(), browsing(folder) as browser:
        sweep.status.started(run)
        sweep.status._write()
        status, headers, content = browser.ask("/live")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert content.startswith(b'<section id="live" data-alive="true"')
        status, _, content = browser.ask("/")
        assert status == 200
        assert b"The report comes with the first run that ends" in content
        assert b"trains" in content
        (folder / "report.html").write_text(PAGE)
        os.utime(folder / "report.html", (1, 1))
        assert browser.ask("/")[2] == PAGE.encode()
        assert not (folder / "made").exists()
        sweep.status.close()
        assert browser.ask("/live")[2] == b""


def test_without_a_sweep_an_outdated_page_is_made_anew_once(folder):
    with browsing(folder) as browser:
        assert browser.ask("/")[2] == PAGE.encode()
        (folder / "records" / "b-s0-2.json").write_text("{}")
        assert browser.ask("/")[2] == b"made anew"
        assert browser.ask("/")[2] == b"made anew"
        (folder / "report.html").write_text('<section id="live" data-alive="true"></section>')
        assert browser.ask("/")[2] == b"made anew", "a sweep that was killed left a page that shows it"
        (folder / "report.html").unlink()
        assert browser.ask("/")[2] == b"made anew"
    assert (folder / "made").read_text() == "xxx"


def test_a_page_that_cannot_be_made_is_said_and_not_tried_again_for_the_same_results(folder):
    (folder / "report.html").unlink()
    fails = MAKES.replace('open(sys.argv[1] + "/report.html", "w").write("made anew")', 'sys.exit("error: no room")')
    with browsing(folder, fails) as browser:
        for _ in range(3):
            status, _, content = browser.ask("/")
            assert (status, content) == (503, b"no report can be made: no room\n")
        (folder / "report.html").write_text(PAGE)
        assert browser.ask("/")[2] == PAGE.encode()
    assert (folder / "made").read_text() == "x"


@contextlib.contextmanager
def serving(*args: object):
    """`run_sweep.py --serve` in another process, and the line that it prints first."""
    words = [sys.executable, "run_sweep.py", "--serve", *map(str, args)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_the_command_serves_on_loopback_alone_says_one_line_and_ends_with_ctrl_c(folder):
    with serving("--results", folder, "--port", 0) as (process, line):
        found = re.fullmatch(rf"report of {folder}: http://127.0.0.1:(\d+)/\?token=(\S+) \(Ctrl-C ends it\)\n", line)
        port, token = int(found[1]), found[2]
        assert len(token) >= 40
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
        assert connection.getresponse().read() == PAGE.encode()
        listening = Path(f"/proc/{process.pid}/net/tcp").read_text()
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")


def refused(*args: object) -> str:
    """What the command says on standard error before it ends with exit code 2."""
    words = [sys.executable, "run_sweep.py", "--serve", *map(str, args)]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def test_a_port_that_is_taken_is_an_error_of_one_line(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused("--results", folder, "--port", port) == f"error: --port {port} cannot be had (it is in use)\n"


def test_a_place_without_results_is_an_error_of_one_line(tmp_path):
    assert refused("--results", tmp_path) == f"error: {tmp_path} holds no results of a sweep\n"
    assert not list(tmp_path.iterdir())
    assert "--serve takes a results folder" in refused("--results", "memory://bucket/r")


def test_without_a_port_the_usual_one_is_taken_or_else_a_free_one(folder):
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody has it already
            stack.enter_context(socket.create_server(("127.0.0.1", USUAL_PORT)))
        _, line = stack.enter_context(serving("--results", folder))
        assert f":{USUAL_PORT}/" not in line
        assert re.search(r"http://127.0.0.1:\d+/\?token=", line)
