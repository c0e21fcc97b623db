"""What a run leaves on disk: best.pt, last.pt and, once it is finished, results.json.

Both checkpoints hold tensors and plain values only, load with `torch.load(weights_only=True)` and into
`ScatteringNet.load`. last.pt also holds what training needs to go on: optimiser, position, results so far. A frozen
extractor is left out: it follows from the configuration.
"""

import json
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


def read(folder: Path, name: str, config: ScatteringConfig) -> dict[str, Any] | None:
    """The content of best.pt or last.pt; None where there is none or it is damaged.

    Raises ValueError where the file is of a run with another configuration.
    """
    file = folder / name
    try:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        return None
    except Exception as error:
        _set_aside(file, error)
        return None
    _require_same_run(folder, content["config"], config)
    return content


def save_results(folder: Path, config: ScatteringConfig, report: dict[str, Any]) -> None:
    """Write the results of a finished run in the form of the original's result files."""
    content = {"config": asdict(config), "results": report["results"], "curves": report["curves"]}
    text = json.dumps(content, indent=2).encode()
    write_atomically(folder / RESULTS, lambda stream: stream.write(text) and None)


def read_results(folder: Path, config: ScatteringConfig) -> dict[str, Any] | None:
    """What `save_results` wrote; None where the run has not finished. Raises ValueError as `read` does."""
    file = folder / RESULTS
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        _set_aside(file, error)
        return None
    _require_same_run(folder, content["config"], config)
    return content


def _set_aside(file: Path, error: Exception) -> None:
    print(f"{file} is damaged ({type(error).__name__}) and set aside; its run is done again", flush=True)
    file.replace(file.with_suffix(".damaged"))


def _require_same_run(folder: Path, saved: dict[str, Any], config: ScatteringConfig) -> None:
    for field in fields(ScatteringConfig):
        theirs, ours = saved.get(field.name), getattr(config, field.name)
        if theirs != ours and not field.metadata.get("cosmetic"):
            raise ValueError(
                f"{folder} holds another run ({field.name}={theirs}, not {ours}); name another save_dir or remove it"
            )
