"""Makes one-line messages that say what is wrong, name the nearest valid choice, and tell no secret."""

import os
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


SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""Words in the names of environment variables whose values must not reach a record."""


SHORTEST_SECRET = 4
"""Shorter values are left as they are, since they may stand in any text by chance."""


def one_line(error: BaseException) -> str:
    """The message of an exception; with its type where that is a built-in one, whose message alone says little."""
    text = without_secrets((str(error).strip() or type(error).__name__).splitlines()[0])
    return f"{type(error).__name__}: {text}" if type(error).__module__ == "builtins" else text


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
