"""Handles Ctrl-C, after which the running trials write their checkpoints."""

import os
import signal
import threading
from collections.abc import Callable


def notice_interrupts() -> Callable[[], bool]:
    """Let Ctrl-C be noticed; the second one ends this process at once, and the cluster's supervisor cleans up.

    Returns a function that says whether there was one. If the shell has set Ctrl-C to be ignored, as it does for a job
    in the background, it stays ignored.
    """
    noticed = threading.Event()

    def interrupt(*_: object) -> None:
        if noticed.is_set():
            os._exit(130)
        noticed.set()
        print("Ctrl-C: running trials write their checkpoints and stop (Ctrl-C again: at once)", flush=True)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return noticed.is_set
