"""Who can reach a sweep: its sockets, and its dashboard without a token."""

import http.client
import os
import re
from pathlib import Path

import pytest

from raysweep.running import supervisor
from tests.raysweep.sweeps import background

LISTEN = "0A"
ROUTE = re.compile(r"""@[a-z_.]*\.(get|post|put|delete|patch)\(\s*f?["'](/[^"']*)""")
PUBLISHED = ("/", "/favicon.ico", "/api/authentication_mode", "/api/authenticate", "/api/healthz")
"""What Ray shows to everybody: the page that asks for the token, whether one is asked for, and that it is alive."""
AGENT_ONLY = ("/api/job_agent/", "/api/local_raylet_healthz", "/api/gcs_healthz")


def listening(pids: set[int]) -> dict[str, str]:
    """Address -> process, of all TCP sockets of processes on which they listen."""
    owners = {}
    for pid in pids:
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                if (target := os.readlink(link)).startswith("socket:["):
                    owners[target[8:-1]] = Path(f"/proc/{pid}/cmdline").read_bytes()[:60].decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and fields[9] in owners:
                found[fields[1]] = owners[fields[9]]
    return found


def is_loopback(address: str) -> bool:
    """Of an address as /proc/net shows it: bytes of each word in the machine's order."""
    host = address.partition(":")[0]
    loopback = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
    return host in loopback


def routes() -> set[tuple[str, str]]:
    """Method and path of all routes of the dashboard, read in its source, with something for each parameter."""
    import ray.dashboard

    found = set()
    for file in Path(ray.dashboard.__file__).parent.rglob("*.py"):
        for method, path in ROUTE.findall(file.read_text()):
            found.add((method.upper(), re.sub(r"\{[^}]*\}", "1", path)))
    return found


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_listens_on_loopback_alone_and_its_dashboard_wants_a_token(tmp_path):
    flags = ("--group", "cifar", "--only", "3b_cmod_L4_s100", "--seeds", "42", "--num-workers", "2")
    with background(*flags, "--set", "lr_epochs=50", "--results", tmp_path / "results") as (process, lines):
        try:
            for line in lines:
                if line.startswith("Ray dashboard"):
                    address = re.search(r"http://([0-9.:]+)", line)[1]
                if "head 1/50" in line:
                    break
            ours = {pid for pid, _ in supervisor.descendants({process.pid})} | {process.pid}
            sockets = listening(ours)
            assert len(sockets) > 5
            assert {where: who for where, who in sockets.items() if not is_loopback(where)} == {}
            asked = routes()
            assert len(asked) > 50
            answers = {}
            for method, path in sorted(asked | {(m, p) for m in ("GET", "POST", "DELETE") for _, p in asked}):
                if path in PUBLISHED or path.startswith((*AGENT_ONLY, "/static", "/logs_agent")):
                    continue
                connection = http.client.HTTPConnection(address, timeout=20)
                connection.request(method, path)
                answers[method, path] = connection.getresponse().status
                connection.close()
            assert {request: status for request, status in answers.items() if status != 401} == {}
        finally:
            process.kill()
