"""Gates: files that let the workers of a trial in, which wait there with everything imported but no GPU taken.

    RESULTS/ray/gates/TRIAL          is written when the trial is admitted, and lists the GPUs that it may use
    RESULTS/ray/gates/TRIAL.here     is written when a worker of the trial begins to wait

On one machine, the processes of the next trials start while other trials train, so that no slot stands idle for the
seconds that imports take. `Admission` alone decides who gets slots; Ray has no part in it.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from raysweep.ledger import make_folder

LOOK_EVERY = 0.02
"""Seconds after which a waiting worker checks its gate again."""
REACHED = ".here"
"""Ending of the file that says that a worker waits at the gate."""


class Gates:
    """The gates of the trials of one launch, below a folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "ray" / "gates"
        shutil.rmtree(self._folder, ignore_errors=True)  # a sweep that was killed may have left some
        make_folder(self._folder)

    def of(self, trial: str) -> str:
        """The path of a trial's gate."""
        return str(self._folder / trial)

    def open(self, trial: str, devices: list[str]) -> None:
        """Let a trial in, and give it GPUs, which are named as in CUDA_VISIBLE_DEVICES."""
        unfinished = self._folder / f".{trial}"
        unfinished.write_text(json.dumps(devices))
        unfinished.replace(self._folder / trial)

    def is_reached(self, trial: str) -> bool:
        """Whether a worker of a trial has begun to wait at its gate."""
        return os.path.exists(self.of(trial) + REACHED)

    def remove(self, trial: str) -> None:
        """Remove the files of a trial that has ended."""
        for name in (trial, trial + REACHED):
            (self._folder / name).unlink(missing_ok=True)


def enter_gate(gate: str, is_stopped: Callable[[], bool]) -> bool:
    """Wait until a gate opens, and make only the trial's GPUs visible. Returns False if the run is stopped meanwhile.

    CUDA must not have been initialised in this process before, since it reads CUDA_VISIBLE_DEVICES only then.
    """
    file = Path(gate)
    Path(gate + REACHED).touch()
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
