"""What the server of the report sends, and all that it does not: a real one on loopback."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.live.serving import USUAL_PORT
from tests.conftest import ROOT
from tests.raysweep.live.browsing import MAKES, PAGE, SECRET, browsing
from tests.raysweep.live.sweep import Sweep, planned

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
