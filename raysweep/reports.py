"""What a trainable reports while it trains, a part of its contract (see `raysweep.trainable`)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from raysweep.typecheck import MAY_BE_NAN

Measured = Annotated[float, MAY_BE_NAN]
"""A measured number, which may be NaN or infinite. What was not measured is left out; None stands for no number."""


class StartReport(TypedDict):
    """The first report, when training begins."""

    event: Literal["start"]
    resumed_at: NotRequired[tuple[str, int, int] | None]
    """Where a run goes on: the phase, how many of its epochs are done, and steps of the next; None at the beginning.
    A run that goes on says by fields `PHASE_epochs` how many epochs each earlier phase took."""
    actual_train_samples: NotRequired[int]
    """How many training images the run has."""


class ProgressReport(TypedDict):
    """A report within an epoch, for the trainable's own command; a sweep leaves it alone."""

    event: Literal["progress"]


class EpochReport(TypedDict):
    """An epoch has ended, and its checkpoint is on disk. Further numbers are tracked as metrics of one's own."""

    event: Literal["epoch"]
    phase: str
    epoch: int
    """Counted from 1 in each phase."""
    epochs: float
    """The largest number of epochs of the phase."""
    images_per_second: float
    """The speed of training, over all workers."""
    data_wait: NotRequired[float]
    """The part of the training's time, in percent, for which the main worker waited for its images."""
    seconds: NotRequired[float]
    """What the epoch took with validation and checkpoint; the time since the last report if left out."""
    train_loss: NotRequired[Measured]
    val_acc: NotRequired[Measured]
    best_acc: NotRequired[Measured]
    """Accuracies in percent: of this epoch, and of the best one of the phase so far."""


class Results(TypedDict, total=False):
    """The results that raysweep itself uses. Others are those that questions and tables name.

    By the names that `measure` has for them, rates and durations of a run forecast the times of later ones;
    `PHASE_epochs` says how many epochs a phase took, and `PHASE_data_wait` for which part of its training, in percent,
    the run waited for images.
    """

    final_acc: Measured
    """The accuracy of the run in percent."""
    seconds: float
    """What the whole run took, its interruptions left out."""
    device_name: str
    """What the rates hold for: the name of the GPU, or of the processor as `raysweep.forecasts.machine` gives it."""
    loaders: int
    """How many threads of a worker read its images from files; to be left out where none do."""
    peak_memory_bytes: float
    device_memory_bytes: float
    """The most that a worker held of its GPU's memory, and all that there is; by these, later runs share a GPU."""


class ResultReport(TypedDict):
    """The last report of a run that has finished; a run that had finished before gives it again, and nothing else."""

    event: Literal["result"]
    results: Results
    curves: NotRequired[Mapping[str, Sequence[Mapping[str, Any]]]]
    """What was measured in each epoch, by phase. It is recorded, and plotted."""


class StoppedReport(TypedDict):
    """The last report of a run that was asked to stop and has written its checkpoint."""

    event: Literal["stopped"]


Report = StartReport | ProgressReport | EpochReport | ResultReport | StoppedReport

RESERVED = frozenset(
    {
        *("run", "config", "training_iteration", "timestamp", "pid", "done", "time_this_iter_s", "time_total_s"),
        *("time_since_restore", "iterations_since_restore", "timesteps_total", "episodes_total", "should_checkpoint"),
    }
)
"""What raysweep and Ray add to the reports "start" and "epoch", which can have no fields of these names."""


PREDICTIONS = "predictions.npz"
"""The file in `save_dir` by which a run may hand over what it finds each of its test images to be. numpy.savez writes
it: `classes` and `labels`, whole numbers from 0 on, [n], the found and the true class of each image in a fixed order;
`metrics`, the names of the results, in percent, that are the accuracy of these classes; and `images`, a text that is
the same for runs on the same data just where they were tested on the same images in the same order (without it, the
labels alone tell that). It is kept beside the record, and taken out of the folder. A run may go without it."""
