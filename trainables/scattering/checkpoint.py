"""What a run leaves on disk: best.pt, last.pt and, once it is finished, results.json.

Both checkpoints hold tensors and plain values only, load with `torch.load(weights_only=True)` and into
`ScatteringNet.load`. last.pt also holds what training needs to go on: optimiser, position, results so far. A frozen
extractor is left out: it follows from the configuration.
"""

import contextlib
import json
import pickle
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from trainables.files import write_atomically
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.network import ScatteringNet

BEST, LAST, RESULTS = "best.pt", "last.pt", "results.json"


def save(folder: Path, name: str, net: ScatteringNet, **more: Any) -> None:
    """Write best.pt or last.pt of a run."""
    content = {
        "config": asdict(net.config),
        "image_size": net.image_size,
        "num_classes": net.num_classes,
        "model": net.learnt_state(),
        **more,
    }
    write_atomically(folder / name, lambda stream: torch.save(content, stream))


def read(folder: Path, name: str, config: ScatteringConfig, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The content of best.pt or last.pt; None where there is none or it is damaged.

    Raises ValueError where the file is of a run with another configuration or identity (data, workers, version of the
    arithmetic), OSError where it cannot be read.
    """
    file = folder / name
    try:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        _set_aside(file, error)
        return None
    _require_same_run(folder, content, config, identity)
    return content


def save_results(folder: Path, config: ScatteringConfig, identity: dict[str, Any], report: dict[str, Any]) -> None:
    """Write the results of a finished run in the form of the original's result files."""
    content = {"config": asdict(config), "identity": identity, "results": report["results"], "curves": report["curves"]}
    text = json.dumps(content, indent=2).encode()
    write_atomically(folder / RESULTS, lambda stream: stream.write(text) and None)


def read_results(folder: Path, config: ScatteringConfig, identity: dict[str, Any]) -> dict[str, Any] | None:
    """What `save_results` wrote; None where the run has not finished. Raises ValueError as `read` does."""
    file = folder / RESULTS
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        _set_aside(file, error)
        return None
    _require_same_run(folder, content, config, identity)
    return content


def _set_aside(file: Path, error: Exception) -> None:
    print(f"{file} is damaged ({type(error).__name__}) and set aside; its run is done again", flush=True)
    with contextlib.suppress(FileNotFoundError):  # another worker was faster
        file.replace(file.with_suffix(".damaged"))


def _require_same_run(
    folder: Path, content: dict[str, Any], config: ScatteringConfig, identity: dict[str, Any]
) -> None:
    ours = {f.name: getattr(config, f.name) for f in fields(config) if not f.metadata.get("cosmetic")} | identity
    theirs = content["config"] | content["identity"]
    for name, value in ours.items():
        if theirs.get(name) != value:
            other = f"{name}={theirs.get(name)}, not {value}"
            raise ValueError(f"{folder} holds another run ({other}); name another save_dir or remove it")
