"""Notices that Ray's own processes, without which no trial can go on, are gone.

Tune does not notice it: it waits for answers that never come, for a minute or for ever. Processes that Ray can do
without (the dashboard, the monitor of logs) are not looked at.
"""

import socket
import time
from collections.abc import Mapping

RAYLET, GCS = "raylet", "GCS server"
GONE_AFTER = {RAYLET: 1.0, GCS: 1.0}
"""Seconds after which a process at whose port nobody listens counts as gone, on a cluster of our own."""
GONE_AFTER_ON_CLUSTER = {RAYLET: 5.0, GCS: 50.0}
"""The same on a running cluster, whose GCS server may be started again; Ray itself waits 60 s for it."""


class RayLostError(ConnectionError):
    """Ray was lost, with all trials; the message says why, and that the same command goes on."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Ray was lost ({why}); the same command goes on from the last checkpoints")


class RayHealth:
    """Looks whether processes of Ray still listen at their ports."""

    def __init__(self, addresses: Mapping[str, tuple[str, int]], gone_after: Mapping[str, float]) -> None:
        """`addresses` and `gone_after` hold the address of each process, and when it counts as gone, by its name."""
        self._addresses, self._gone_after = addresses, gone_after
        self._refused: dict[str, float] = {}
        """Since when each process has refused connections, on the monotonic clock."""

    @classmethod
    def of_this_cluster(cls, *, own: bool) -> "RayHealth":
        """Look at the GCS server, and at the raylet that this process is connected to. Needs an initialised Ray.

        `own` says whether it is a cluster of our own.
        """
        import ray

        context = ray.get_runtime_context()
        host, _, port = context.gcs_address.rpartition(":")
        addresses = {GCS: (host.strip("[]"), int(port))}
        for node in ray.nodes():
            if node["NodeID"] == context.get_node_id():
                addresses[RAYLET] = node["NodeManagerAddress"], node["NodeManagerPort"]
        return cls(addresses, GONE_AFTER if own else GONE_AFTER_ON_CLUSTER)

    def loss_within(self, seconds: float) -> str:
        """Look until a process counts as gone, but for no longer than so many seconds; the same as `loss` returns."""
        until = time.monotonic() + seconds
        while not (why := self.loss()) and time.monotonic() < until:
            time.sleep(0.2)
        return why

    def loss(self) -> str:
        """Look, and return which process is gone; "" while all are there."""
        for name, address in self._addresses.items():
            try:
                socket.create_connection(address, timeout=1.0).close()
            except ConnectionRefusedError:
                since = self._refused.setdefault(name, time.monotonic())
                if time.monotonic() - since >= self._gone_after[name]:
                    return f"its {name} is gone"
            except OSError:  # it is busy; or the network is, for which Ray itself allows a time
                continue
            else:
                self._refused.pop(name, None)
        return ""
