"""Handles the signals that ask a sweep to end: Ctrl-C, SIGTERM, SIGHUP and SIGUSR1.

SIGTERM comes from schedulers and containers that want the machine back, SIGUSR1 from those that are asked to warn
before they do, SIGHUP from a terminal that goes away. A signal that is ignored when the sweep begins stays ignored:
SIGHUP under `nohup`, Ctrl-C in a job in the background of a shell.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from raysweep.running import supervisor

ENDING = {
    getattr(signal, name): said
    for name, said in (("SIGINT", "Ctrl-C"), *((name, name) for name in ("SIGTERM", "SIGHUP", "SIGUSR1")))
    if hasattr(signal, name)  # Windows has but the first two
}
"""The signals that ask a sweep to end, with the names by which messages call them."""


class Interrupts:
    """Within this context, the first signal that asks the sweep to end raises KeyboardInterrupt in the main thread.

    While Ray starts and trials run it is noticed instead, so that these can write their checkpoints. A Ctrl-C after it
    ends this process at once, and the cluster's supervisor cleans up. Any other one changes nothing: `timeout` and
    shells send theirs twice, to the process and to its group.
    """

    def __init__(self) -> None:
        self.number = 0
        """The signal that came first; 0 while none has come."""
        self._noticing = ""
        """What a message says that the sweep does after a signal that is noticed; "" where signals raise."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._handle)
            if hasattr(signal, "SIGTSTP") and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
                self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, _stand_still)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        """Whether one of the signals has come."""
        return bool(self.number)

    @property
    def exit_code(self) -> int:
        """The exit code of a process that the signal has ended, as shells know it."""
        return 128 + (self.number or signal.SIGINT)

    @contextlib.contextmanager
    def noticed(self, what_happens: str) -> Iterator[None]:
        """Within this context signals raise nothing, but a message says what happens after them."""
        self._noticing = what_happens
        try:
            yield
        finally:
            self._noticing = ""

    @contextlib.contextmanager
    def deferred(self, what_happens: str) -> Iterator[None]:
        """Within this context signals are noticed; the first one raises at its end.

        While Ray starts, an exception might come where Python ignores it: in what libraries do around a fork.
        """
        with self.noticed(what_happens):
            yield
        if self:
            raise KeyboardInterrupt

    def has_come(self, number: int = signal.SIGINT) -> None:
        """Note a signal, unless one has come before."""
        self.number = self.number or number

    def _handle(self, number: int, frame: object) -> None:
        if self.number:
            if number == signal.SIGINT:
                os._exit(128 + number)
            return
        self.has_come(number)
        if not self._noticing:
            raise KeyboardInterrupt
        again = "again" if number == signal.SIGINT else "now"
        name = ENDING[signal.Signals(number)]
        with contextlib.suppress(RuntimeError):  # this thread was printing
            print(f"{name}: {self._noticing} (Ctrl-C {again}: at once)", flush=True)


def _stand_still(number: int, frame: object) -> None:
    """Ctrl-Z: stop the processes of the cluster, which a terminal does not reach, and this one, until it goes on."""
    stopped = supervisor.send_to_descendants(signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    supervisor.send_to_descendants(signal.SIGCONT, stopped)


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Within this context Ray may set a handler of SIGTERM of its own, by which this process would exit with 15.

    The handler before it is called instead, when Ray has let go.
    """
    before = signal.getsignal(signal.SIGTERM)
    is_ours = before is not None and threading.current_thread() is threading.main_thread()
    exits = False
    try:
        yield
    except SystemExit:
        exits = True
        raise
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, before)
            if exits:
                signal.raise_signal(signal.SIGTERM)
