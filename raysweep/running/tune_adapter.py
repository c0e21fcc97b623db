"""Connects the queue of trials with Tune, which gets trials from it and tells it what happens to them."""

from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from raysweep.ledger import Record
from raysweep.messages import reason_of
from raysweep.running.queue import TrialQueue


class TrialSearcher(Searcher):  # type: ignore[misc]
    """Gives Tune the trials of a queue one by one, as a search algorithm would."""

    def __init__(self, queue: TrialQueue) -> None:
        super().__init__()
        self._queue = queue

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next trial, or None while there is none to start."""
        spec = self._queue.suggest(trial_id)
        if spec is None:
            return Searcher.FINISHED if self._queue.finished else None
        return {"spec": spec}

    def on_trial_complete(self, trial_id: str, result: Record | None = None, error: bool = False) -> None:
        """Called when the processes of a trial are free."""
        self._queue.trial_ended(trial_id, failed=error)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing, since the ledger keeps all that lasts."""

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes down what a Tuner was made of; nothing reads it."""
        return {}


class TrialWatch(tune.Callback):  # type: ignore[misc]
    """Tells a queue what Tune reports of its trials."""

    def __init__(self, queue: TrialQueue) -> None:
        self._queue = queue

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._queue.poll()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Record, **info: Any) -> None:
        self._queue.reported(result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = self._queue.runs[first_run(trial)]
        self._queue.status.retried(run, f"lost its process{_why(trial)}; goes on from what its runs have left")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._queue.lost(trial.config["spec"], _why(trial))

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes down what a Tuner was made of; nothing reads it."""
        return {}


def _why(trial: Any) -> str:
    """The exception that has ended the process of a Tune trial, in brackets; "" for a process that has gone away."""
    try:
        said = Path(trial.error_file or "").read_text(errors="replace").rpartition("Failure # ")[2].partition("\n")[2]
    except OSError:
        return ""
    return f" ({reason_of(RuntimeError(said))})" if "Traceback" in said else ""


def first_run(trial: Any) -> str:
    """The name of a Tune trial's first run."""
    name: str = trial.config["spec"].runs[0].name
    return name
