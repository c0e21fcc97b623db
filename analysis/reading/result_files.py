"""What is common to result files of either kind: their content, and errors about it."""

import hashlib
import json
from pathlib import Path
from typing import Any

Fields = dict[str, Any]


class WrongFileError(ValueError):
    """Raised for a file that is none of these; the message is half a line."""


def content_of(file: Path) -> Any:
    """The content of a file of JSON. Raises WrongFileError."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise WrongFileError(f"it cannot be read ({error.strerror})") from None
    except ValueError:
        raise WrongFileError("it is not JSON") from None


def digest_of(content: Any) -> str:
    """Sixteen hexadecimal digits that tell this content from any other."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
