"""Makes one-line messages that say what is wrong, name the nearest valid choice, and tell no secret."""

import itertools
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches


class PlanError(ValueError):
    """A sweep that cannot start; the message is one line."""


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them if they are few."""
    lower = {k.lower(): k for k in known}
    close = get_close_matches(name.lower(), list(lower), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {lower[close[0]]!r}?"
    return f"; known are {', '.join(known)}" if len(known) <= 20 else ""


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""The characters that colour text in a terminal."""

SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""Words in the names of environment variables whose values must not reach a record."""


SHORTEST_SECRET = 4
"""Shorter values are left as they are, since they may stand in any text by chance."""


def enumerated(names: Sequence[str], most: int) -> str:
    """`a, b`; of more than so many names the first, and that there are others."""
    return f"{', '.join(names[:most])}{', ...' * (len(names) > most)}"


def one_line(error: BaseException) -> str:
    """The reason of an exception; with its type where that is a built-in one, whose message alone says little."""
    reason, kind = reason_of(error), type(error).__name__
    is_said = reason.startswith(f"{kind}:") or type(error).__module__ != "builtins"
    return reason if is_said else f"{kind}: {reason}"


def reason_of(error: BaseException) -> str:
    """The line of an exception's message that says what went wrong.

    It is the first one, together with the next where that is but a heading. Of a message that holds the traceback of
    another process, it is the line that this traceback ends with.
    """
    lines = [line for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()]
    frames = [i for i, line in enumerate(lines) if line.lstrip().startswith('File "')]
    if frames:
        below = lines[frames[-1] + 1 :]
        lines = list(itertools.dropwhile(lambda line: line[0].isspace(), below)) or lines[: frames[0]]
    said = [line.strip() for line in lines if "Traceback (most recent call last)" not in line]
    reason = " ".join(said[: 1 + said[0].endswith(":")]) if said else type(error).__name__
    return without_secrets(reason)


def without_secrets(text: str) -> str:
    """The text without the values of environment variables whose names say that they are secret."""
    for name, value in os.environ.items():
        if len(value) >= SHORTEST_SECRET and any(word in name.upper() for word in SECRET):
            text = text.replace(value, "***")
    return text


def as_text(name: str) -> str:
    """The name of a file as text that any file can hold: bytes of it that are no UTF-8 are written `\\xe9`."""
    if name.isascii():
        return name
    try:
        return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:
        return name.encode(errors="backslashreplace").decode()
