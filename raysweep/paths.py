"""Reads paths as people write them."""

import os
from pathlib import Path

from raysweep.messages import PlanError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The absolute path, with a home folder in place of `~` or `~user`. Raises PlanError if there is no such home."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise PlanError(f"{path}: there is no home folder of the name {str(path).split(os.sep)[0]}") from None
