"""For tests of tracking: two runs, their reports, and what TensorBoard and a fake server have received of them."""

import json
import struct
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event, SessionLog

from search_spaces import cifar_scattering, imagenet_scattering
from tests.raysweep.runs import planned

RUN = planned(imagenet_scattering.EXPERIMENTS[0], 8, data_dir="/data")

OTHER = planned(cifar_scattering.FAMILY.experiments[0], dataset="cifar10", train_size=0.25)


def start(resumed_at: Any = None, **known: Any) -> dict[str, Any]:
    """The report of a start of RUN; `resumed_at` is a phase, an epoch and a step."""
    return {"event": "start", "resumed_at": resumed_at, "run": RUN.name, "actual_train_samples": 10, **known}


def epoch(phase: str, number: int, acc: float) -> dict[str, Any]:
    """The report of an epoch of RUN, with fields that Tune adds."""
    measured = {"train_loss": 1.5, "val_acc": acc, "lr": 1e-3, "images_per_second": 100.0}
    of_tune = {"training_iteration": 3, "pid": 4711, "timestamp": 1, "time_total_s": 2.0, "config": {"spec": {}}}
    return {"event": "epoch", "phase": phase, "epoch": number, "epochs": 9, "run": RUN.name, **measured, **of_tune}


RECORD = {
    "config": {"train_size": 1.0, "batch_parts": 1},
    "results": {
        "head_acc": 60.0,
        "n_params_total": 5,
        "train_size": 1.0,
        "batch_parts": 1,
        "device": "cpu",
        "ok": True,
    },
    "curves": {"phase_a": [{}, {}], "phase_b": [{}]},
}


def events(folder: Path) -> list[Event]:
    """All events of a run, file by file as TensorBoard reads them: length, checksum, event and checksum of each."""
    found = []
    for file in sorted(folder.iterdir()):
        content, at = file.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            found.append(Event.FromString(content[at + 12 : at + 12 + length]))
            at += length + 16
    return found


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars that TensorBoard shows; the event of a restart at a step removes those from that step on."""
    scalars: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            scalars = {tag: [(s, v) for s, v in points if s < event.step] for tag, points in scalars.items()}
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name != "hparams":
                scalars.setdefault(value.tag, []).append((event.step, round(value.simple_value, 4)))
    return scalars


def calls(server: Path, *kinds: str) -> list[dict[str, Any]]:
    """The calls of some kinds that a fake server has logged."""
    lines = (server / "log").read_text().splitlines() if (server / "log").exists() else []
    return [call for call in map(json.loads, lines) if call["call"] in kinds]
