"""The checkpoints of a run, best.pt and last.pt.

Both hold tensors and plain values only, so that `torch.load(weights_only=True)` and `ScatteringNet.load` read them.
best.pt also holds the classes that the network of the last phase finds for the validation images, last.pt what training
needs to go on: optimiser, position, results so far. A frozen extractor is left out, since it follows
from the configuration.
"""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from trainables.files import require_readable, write_atomically
from trainables.results import require_same_run, set_aside
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.network import ScatteringNet

BEST, LAST = "best.pt", "last.pt"


def save(folder: Path, name: str, net: ScatteringNet, **more: Any) -> None:
    """Write best.pt or last.pt of a run, with `more` beside the network."""
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

    Raises ValueError where the file belongs to a run with another configuration or identity (data, number of workers,
    numerics), OSError where it cannot be read.
    """
    file = folder / name
    try:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        require_readable(file, error)
        set_aside(file, error)
        return None
    require_same_run(folder, content, config, identity)
    return content


def position(config: ScatteringConfig) -> tuple[str, int] | None:
    """Phase and number of finished epochs of the checkpoint that a run would go on from; None where there is none."""
    try:
        content = torch.load(Path(config.save_dir) / LAST, map_location="cpu", weights_only=True, mmap=True)
        return str(content["phase"]), int(content["epoch"])
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError):
        return None
