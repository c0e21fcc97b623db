"""A simulated terminal, with just the control sequences that the live table uses, to see what a program shows."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

from tests.conftest import ROOT

TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\x1b\][^\x07]*\x07|([^\x1b])", re.DOTALL)


class Screen:
    """The lines of a terminal of `width` and `height`, with those that scrolled away and without colours."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines: list[list[str]] = [[]]
        self.row = self.column = 0
        self.cursor_hidden = False

    def feed(self, text: str) -> None:
        for match in TOKEN.finditer(text):
            parameters, command, character = match.groups()
            if character:
                self._put(character)
            elif command == "A":
                self.row = max(len(self.lines) - self.height, 0, self.row - int(parameters or 1))
            elif command == "K":
                assert parameters == "2"
                self.lines[self.row] = []
            elif command in "hl":
                self.cursor_hidden = parameters == "?25" and command == "l"
            else:
                assert command == "m", match[0]

    def text(self) -> str:
        """All lines, without the spaces at their ends."""
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
            return
        if character == "\n" or self.column == self.width:
            self.column = 0 if character != "\n" else self.column
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append([])
            if character == "\n":
                return
        line = self.lines[self.row]
        line += " " * (self.column + 1 - len(line))
        line[self.column] = character
        self.column += 1


def drive(
    command: Sequence[object],
    *,
    width: int,
    height: int,
    env: dict[str, str] | None = None,
    during: Callable[[Screen, subprocess.Popen[bytes]], None] = lambda screen, process: None,
    timeout: float = 60,
) -> tuple[Screen, int]:
    """Run a command in a terminal, from the project's root. Returns what it shows at the end, and the exit status.

    `during` is called after everything that the command has written.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    hidden = {"COLUMNS", "LINES", "CI", "FORCE_COLOR", "NO_COLOR"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    screen, until = Screen(width, height), time.monotonic() + timeout
    with subprocess.Popen(
        [*map(str, command)],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **(env or {})},
    ) as process:
        os.close(theirs)
        rest = b""
        while time.monotonic() < until:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                read = os.read(ours, 65536)
            except OSError:  # Linux raises it when the other end is closed
                break
            if not read:
                break
            # A control sequence that was cut off waits for its rest.
            whole, escape, tail = (rest + read).rpartition(b"\x1b")
            rest = escape + tail if escape and len(tail) < 8 and not re.search(rb"[A-Za-z]", tail) else b""
            text = (whole if rest else whole + escape + tail).decode(errors="replace")
            screen.feed(text)
            during(screen, process)
        else:
            process.kill()
        os.close(ours)
    return screen, process.returncode
