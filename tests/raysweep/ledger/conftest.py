"""An S3 server of the tests' own."""

import contextlib
import socket
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="session")
def server():
    """The environment that leads to an S3 server on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "for the tests",
                "AWS_SECRET_ACCESS_KEY": "of no worth",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        finally:
            process.terminate()


@pytest.fixture
def url(server, monkeypatch, tmp_path):
    """A folder in an empty bucket of that server."""
    import fsspec

    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    bucket = f"bucket-{time.time_ns()}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}/results"
