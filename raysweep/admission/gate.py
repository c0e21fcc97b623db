"""Where the processes of a trial wait for their turn: started, with everything imported, holding nothing yet.

    RESULTS/ray/gates/TRIAL          appears when the trial is admitted, and says which GPUs are its own
    RESULTS/ray/gates/TRIAL.here     appears when a worker of the trial has come to it

The trials of a sweep on one machine start this way while others train, so that it does not wait for imports. What
holds slots is decided by `admission` alone; Ray has no part in it.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

LOOK_EVERY = 0.02
"""Seconds between two looks at a gate."""
HERE = ".here"


class Gates:
    """The gates of the trials of one launch, below a folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "ray" / "gates"
        shutil.rmtree(self._folder, ignore_errors=True)  # of a sweep that was killed
        self._folder.mkdir(parents=True)

    def of(self, trial: str) -> str:
        """The gate of a trial."""
        return str(self._folder / trial)

    def open(self, trial: str, devices: list[str]) -> None:
        """Let a trial in, with GPUs by what CUDA_VISIBLE_DEVICES calls them."""
        beside = self._folder / f".{trial}"
        beside.write_text(json.dumps(devices))
        beside.replace(self._folder / trial)

    def is_reached(self, trial: str) -> bool:
        """Whether a trial has come as far as its gate."""
        return os.path.exists(self.of(trial) + HERE)

    def remove(self, trial: str) -> None:
        """Forget a trial that has ended."""
        for name in (trial, trial + HERE):
            (self._folder / name).unlink(missing_ok=True)


def enter_gate(gate: str, is_stopped: Callable[[], bool]) -> bool:
    """Wait at a gate. Whether it was opened, rather than the run stopped; the GPUs of the trial are then those visible.

    Nothing in this process may have looked for GPUs before.
    """
    file = Path(gate)
    Path(gate + HERE).touch()
    while True:
        try:
            devices = json.loads(file.read_text())
        except FileNotFoundError:
            if is_stopped():
                return False
            time.sleep(LOOK_EVERY)
        else:
            if devices:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
            return True
