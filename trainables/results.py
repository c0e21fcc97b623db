"""results.json, which a finished run leaves behind, with all that tells the run from others."""

import contextlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from trainables.files import write_atomically

RESULTS = "results.json"

Report = dict[str, Any]
"""Plain values by name that a training says of itself; what it yields also has an "event"."""


def save_results(folder: Path, config: Any, identity: dict[str, Any], report: Report) -> None:
    """Write the results of a finished run in the form of the original scattering code's result files.

    `config` is a dataclass; `identity` has what else tells the run from others: data, number of workers, numerics. The
    file says as well which trainable it is of, and which fields have no effect on its numbers, for who imports it.
    """
    content = {
        "trainable": type(config).__module__.rpartition(".")[0],
        "no_effect": [f.name for f in fields(config) if f.metadata.get("cosmetic")],
        "config": {name: value for name, value in asdict(config).items() if name not in _later_at_default(config)},
        "identity": identity,
        "results": report["results"],
        "curves": report["curves"],
    }
    text = json.dumps(content, indent=2).encode()
    write_atomically(folder / RESULTS, lambda stream: stream.write(text) and None)


def read_results(folder: Path, config: Any, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The content that `save_results` wrote; None where the run has not finished or the file is damaged.

    Raises ValueError where it belongs to a run with another configuration or identity.
    """
    file = folder / RESULTS
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        set_aside(file, error)
        return None
    require_same_run(folder, content, config, identity)
    return content


def set_aside(file: Path, error: Exception) -> None:
    """Rename a damaged file, and say so."""
    print(f"{file} is damaged ({type(error).__name__}) and set aside; its run is done again", flush=True)
    with contextlib.suppress(FileNotFoundError):  # another worker was faster
        file.replace(file.with_suffix(".damaged"))


def require_same_run(folder: Path, content: dict[str, Any], config: Any, identity: dict[str, Any]) -> None:
    """Check that `content` belongs to a run with this configuration, cosmetic fields aside, and this identity.

    Raises ValueError otherwise, which names a field that differs.
    """
    left_out = {f.name for f in fields(config) if f.metadata.get("cosmetic")}
    ours = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in left_out} | identity
    defaults = {f.name: f.default for f in fields(config)}
    theirs = defaults | content["config"] | content["identity"]  # which may be older than some fields
    for name, value in ours.items():
        if theirs.get(name) != value:
            other = f"{name}={theirs.get(name)}, not {value}"
            raise ValueError(f"{folder} holds another run ({other}); name another save_dir or remove it")


def _later_at_default(config: Any) -> set[str]:
    """The fields that came when runs had been recorded, where they have their defaults (see `config.LATER`)."""
    return {f.name for f in fields(config) if f.metadata.get("later") and getattr(config, f.name) == f.default}
