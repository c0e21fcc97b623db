"""The results.json files of runs that were started without Ray (`python -m trainables.airbench` and its like) as
records, marked as imported."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.reading.result_files import WrongFileError, digest_of
from raysweep.ledger import FINISHED, Record

PATTERN = "results.json"

PARTS = ("config", "identity", "results", "curves")


def standalone_record(file: Path, content: Any) -> Record:
    """The content of a result file as a record, whose experiment is called as the run's folder, without its seed
    (mirror of mirror-s0). Raises WrongFileError for what our trainables do not write."""
    parts = content if isinstance(content, dict) else {}
    if missing := [name for name in PARTS if not isinstance(parts.get(name), dict)]:
        raise WrongFileError(f"it has no {', '.join(missing)}")
    trainable = parts.get("trainable")
    if not isinstance(trainable, str):
        raise WrongFileError("it does not say its trainable: runs before that was kept cannot be told")
    config, identity = parts["config"], parts["identity"]
    seed, digest = config.get("seed"), digest_of(content)
    experiment = re.sub(r"-s\d+$", "", file.resolve().parent.name)
    return {
        "run": f"{experiment}-{'unseeded' if seed is None else f's{seed}'}-{digest[:8]}",
        "key": digest,
        "experiment": experiment,
        "group": "imported",
        "dataset": str(config.get("dataset")),
        "seed": seed,
        "num_workers": int(identity.get("world_size") or 1),
        "priority": 0,
        "why": f"by python -m {trainable}",
        "imported": f"{file.resolve().parent.name}/{file.name}",
        "label": experiment,
        "set": "",
        "data": identity.get("data"),
        "numerics": identity.get("numerics"),
        "trainable": trainable,
        "no_effect": parts.get("no_effect") or [],
        "config": config,
        "status": FINISHED,
        "kind": "",
        "error": None,
        "finished": datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        "results": parts["results"],
        "curves": parts["curves"],
        "provenance": {},
    }
