"""Lets a sweep go on whatever becomes of its standard output: `| head`, a terminal that is closed, a full disk."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""The errors of a pipe that nobody reads, and of a terminal that has gone away."""


def open_closed_streams() -> None:
    """Open /dev/null in place of those of the three standard streams that were closed when this process began.

    Otherwise the next files that are opened would take their numbers, and receive what libraries print.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


@contextlib.contextmanager
def outlived_output() -> Iterator[None]:
    """Within this context, what cannot be written to standard output and standard error is left out, silently."""
    before = sys.stdout, sys.stderr
    ours = sys.stdout, sys.stderr = _Outlived(sys.stdout), _Outlived(sys.stderr)
    try:
        yield
    finally:
        for stream in ours:
            stream.end()
        sys.stdout, sys.stderr = before


class _Outlived:
    """A text stream without errors."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._failed(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def end(self) -> None:
        """Write what is left, or let go of it, since Python would complain when it ends."""
        try:
            self._stream.flush()
        except OSError:
            self._let_go()

    def _failed(self, error: OSError) -> None:
        if error.errno in GONE:
            self._let_go()

    def _let_go(self) -> None:
        """Let everything that is written from now on go to /dev/null."""
        with contextlib.suppress(OSError), open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), self._stream.fileno())
