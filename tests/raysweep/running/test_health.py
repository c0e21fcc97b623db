"""Whether a process of Ray counts as gone, by sockets that listen and sockets that do not."""

import socket
import time

from raysweep.running.health import RayHealth


def test_a_process_is_gone_once_nobody_has_listened_at_its_port_for_long_enough():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        health = RayHealth({"raylet": address}, {"raylet": 0.5})
        assert health.loss() == ""
    assert health.loss() == "", "it may be about to listen again"
    time.sleep(0.5)
    assert health.loss() == "its raylet is gone"


def test_a_process_that_is_started_again_is_not_gone():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    health = RayHealth({"GCS server": address}, {"GCS server": 0.5})
    assert health.loss() == ""
    with socket.create_server(address):
        assert health.loss() == ""
    time.sleep(0.5)
    assert health.loss() == "", "from now on it has refused"


def test_a_process_that_is_too_busy_to_answer_is_not_gone():
    """It listens, but takes no connection, so that its queue of them is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(server.getsockname())
            waiting.append(one)
        health = RayHealth({"raylet": server.getsockname()}, {"raylet": 0.0})
        assert health.loss() == ""
        for one in waiting:
            one.close()
