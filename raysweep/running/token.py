"""The token that a cluster of our own demands of whoever speaks to it."""

import os
import secrets
from pathlib import Path

from raysweep.messages import PlanError

TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""The environment variables by which Ray is given the token itself, or the file that holds it."""


def token_file() -> Path | None:
    """The file from which Ray reads the token, or None for a user without a home."""
    if given := os.environ.get(TOKEN_PATH):
        return Path(given)
    try:
        return Path.home() / ".ray" / "auth_token"
    except RuntimeError:
        return None


def prepare_token() -> None:
    """Make the token, if there is none, and let only its owner read it. Ray itself writes it with the umask's mode.

    Where no file below the user's home can hold it, it is kept in the environment of this process and of those that it
    starts. Raises PlanError if it cannot be kept in the file that RAY_AUTH_TOKEN_PATH names.
    """
    if os.environ.get(TOKEN):
        return
    file = token_file()
    try:
        if file:
            _make(file)
    except OSError as error:
        if os.environ.get(TOKEN_PATH):
            raise PlanError(f"{TOKEN_PATH}={file}: Ray's token cannot be kept there ({error.strerror})") from None
        file = None
    if not file:
        os.environ[TOKEN] = secrets.token_hex(32)


def where_the_token_is() -> str:
    """Tell people how to learn the token."""
    if os.environ.get(TOKEN):
        return f"token: the value of {TOKEN}; set it to choose one"
    return "token: `ray get-auth-token`"


def _make(file: Path) -> None:
    """Write a new token into a file that only its owner can read; a token that is there stays. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        stream = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        status = file.stat()
        if status.st_uid == os.getuid() and status.st_mode & 0o077:
            file.chmod(0o600)
        file.read_bytes()  # raises OSError for a file that Ray could not read either
        return
    with os.fdopen(stream, "w") as writable:
        writable.write(secrets.token_hex(32))
