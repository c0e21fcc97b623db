"""The contract of a trainable: all that the module of an experiment has to define, and what it may define as well.

A trainable is a module, or a package, that defines the functions of `Trainable` and as many of `OptionalHooks` and
`Traits` as it wants. It imports nothing of raysweep: it takes and gives plain values of Python. The smallest one:

    def check(config, num_workers):
        return {"data": "digits", "numerics": 1}

    def train(config):
        yield {"event": "start"}
        for epoch in range(1, 11):
            ...
            yield {"event": "epoch", "phase": "train", "epoch": epoch, "epochs": 10, "images_per_second": 1500.0}
        yield {"event": "result", "results": {"final_acc": 97.2}}

`config` is the configuration of a run (see `raysweep.experiment.Experiment`). Plans import the module without reading
`train`: a package that lists `train` in `__all__` and imports torch when it is first read keeps plans fast.

What it reports is in `raysweep.reports`. What comes out is checked (see `raysweep.trainable_loader`): a field that is
missing or of the wrong type ends the plan or the run with a line that names it. A `float` is a finite number unless it
is `Measured`. Dicts may have fields beside those named here, of strings, numbers, None, and lists and dicts of these;
of a tensor or a number of numpy's, its `.item()`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from raysweep.reports import Report


class Phase(TypedDict):
    """What a part of a run passes through the network, by which its time is forecast. Most runs have one phase."""

    phase: str
    """Its name, as in the reports of its epochs."""
    epochs: float
    """How many it has at most; the last one may be a part of an epoch."""
    least_epochs: NotRequired[float]
    """How many early stopping leaves at least; as many as `epochs` if left out."""
    patience: NotRequired[int]
    """After so many epochs without a better `val_acc` the phase stops early; it does not if left out."""
    train_images: int
    """The training images of an epoch, over all workers."""
    validation_images: NotRequired[int]
    """The validation images of an epoch, over all workers; 0 if left out."""
    validation_images_once: NotRequired[int]
    """The validation images that pass before the first epoch or after the last one; 0 if left out."""
    cached: NotRequired[bool]
    """Whether what the first epoch computes of the validation images is kept for the others; False if left out."""


class Facts(TypedDict):
    """What `check` knows of a run before it starts. What it says beside this is recorded with the run."""

    data: str
    """What tells the data from others, such as a hash of their files' names and sizes; a part of the run's identity."""
    numerics: int
    """A number that goes up when the same configuration starts to give other results; a part of the run's identity."""
    no_effect: NotRequired[Sequence[str]]
    """The fields of this configuration that cannot change its results, beside those that are `cosmetic`."""
    phases: NotRequired[Sequence[Phase]]
    """The phases in the order of training. If they are left out, the run's time is not forecast from images."""
    rate_fields: NotRequired[Sequence[str]]
    """The fields on which it depends how many images pass in a second; all but the seed if left out."""
    prepared: NotRequired[str]
    """How the data were made of those that `dataset` names, as `short side 400`; answers name them by both."""
    image_size: NotRequired[int]
    num_classes: NotRequired[int]
    final_channels: NotRequired[int]
    final_size: NotRequired[int]
    """Shape of what the classifier is given: channels, and height and width in pixels."""
    n_params_extractor: NotRequired[int]
    n_params_classifier: NotRequired[int]
    """How many parameters there are in front of the classifier, and in it."""


class PhaseCosts(TypedDict):
    """What a phase computes and holds."""

    phase: str
    flops_forward: float
    flops_train: float
    """Floating-point operations for each image: of a forward pass, and of a step of training, forward and backward."""
    memory_bytes: float
    """The most that a worker holds: of its GPU's memory, or without one of the machine's."""


class Costs(TypedDict):
    """What a run computes and holds, in the units of `PhaseCosts`; the operations are those of the last phase."""

    flops_forward: float
    flops_train: float
    memory_bytes: float
    phases: NotRequired[Sequence[PhaseCosts]]


class Remedy(TypedDict):
    """A way to need less memory."""

    changes: Mapping[str, Any]
    """Fields of the configuration with the values that they would have. Such a run is another experiment."""
    leaves: NotRequired[float]
    """The fraction of the memory (0 to 1) that is needed in any case."""
    frees: NotRequired[float]
    """Bytes that it can free at most. By this and `leaves`, a plan need not work out what cannot suffice."""


class Reach(TypedDict):
    """What training makes of a machine's speed, roughly."""

    fraction: float
    """The part of the speed of a matrix product that training reaches with its operations, above 0."""
    seconds_per_image: float
    """What a worker takes for each image beside its operations, such as for augmentation and the start of kernels."""


class Trainable(Protocol):
    """The functions that each trainable has to define."""

    def check(self, config: Any, num_workers: int) -> Facts:
        """Facts about a run with so many workers, without computing anything of it; the same for every seed.

        Raises ValueError, in a line for people, for a run that cannot be. Called for each experiment of a plan.
        """

    def train(self, config: Any) -> Iterator[Report]:
        """Train as `config` says, and report: "start", "epoch" after each epoch, and last "result" or "stopped".

        Each worker of a run calls it, in a process of its own, and all have to give the same reports in the same order,
        as each is handed on when all have it. RANK, WORLD_SIZE and LOCAL_RANK are in the environment; several workers
        have a process group of torch.distributed. Checkpoints belong into the folder `config.save_dir`: with the same
        configuration a run that was cut off is started again there, and goes on. When a file `stop` appears in it, the
        run is to write its checkpoint and end. A worker that rewrites `pulse-RANK` there (as `trainables.control` does)
        is ended if it does not get on. Before the result, the first worker may leave `predictions.npz` there (see
        `PREDICTIONS`), by which answers also say how much they depend on the test images; and `filters.npz`, its
        filters before and after training, which reports show (see `trainables.scattering.filter_pictures`).

        Exceptions end the run. FloatingPointError is for a loss that is not finite, which is not tried again;
        MemoryError and torch.OutOfMemoryError for want of memory; a class of exceptions with an attribute
        `failure_kind = "data"` for data that cannot be read. OSErrors of a full disk end the sweep.
        """


class OptionalHooks(Protocol):
    """The functions that a trainable may define as well."""

    def cost(self, config: Any, num_workers: int, device: Literal["cpu", "cuda"]) -> Costs:
        """What a run computes and holds, worked out without its memory. Without it, a plan says nothing of these.

        Plans keep it until a file of a module changes that was imported when it was worked out, or what `check` says.
        """

    def measure(self, config: Any, num_workers: int) -> Mapping[str, float]:
        """Rates and durations of a run, measured here in some seconds (`--calibrate`), of one worker of so many.

        Known are `setup_seconds`, and of each phase `PHASE_images_per_second`, `PHASE_validation_images_per_second`,
        `PHASE_cached_validation_images_per_second` (over all workers), `PHASE_warm_up_seconds` (by which the first step
        takes longer) and `PHASE_checkpoint_seconds` (for each epoch). What it raises is said in a line.
        """

    def matrix_product(self, device: Literal["cpu", "cuda"], threads: int) -> float:
        """Floating-point operations per second of a matrix product here, timed in less than half a second.

        It uses so many threads of the CPU, or this process's GPU. With `cost` and `reach`, plans say by it how long
        runs take, roughly, where no rates of any run are known; they keep it for the device.
        """

    def reach(self, config: Any, num_workers: int, device: Literal["cpu", "cuda"]) -> Reach:
        """What training makes of that speed. Plans call it each time, so it should import nothing large."""

    def position(self, config: Any) -> tuple[str, int] | None:
        """The phase that the checkpoint in `config.save_dir` is of, and how many of its epochs are done.

        None if there is no checkpoint that can be read. Without it, plans forecast such a run from its beginning.
        """

    def command(self, configs: Sequence[Any], num_workers: int, flags: Callable[..., list[str]]) -> list[str]:
        """The arguments of a shell's command that does the same run without Ray, or runs with consecutive seeds.

        `flags(config, base, order, always)` gives the flags of the fields in which a configuration differs from `base`
        (see `raysweep.planning.commands`). Without it: `torchrun --nproc_per_node=N -m MODULE` with all such flags.
        """

    def train_side_by_side(self, configs: Sequence[Any]) -> Iterator[tuple[int, Report]]:
        """Train runs that differ in seed and save_dir alone at the same time, on the GPU of one worker.

        Yields the reports of `train`, each with the number of its run; results have no times. What `train` raises ends
        all of them, so a run that diverges raises when the others have ended. It is called for those runs of a trial
        whose times are of no use (see `raysweep.experiment.Experiment.timed_seeds`); without it, and on CPUs, they are
        trained one after the other.
        """

    def remedies(self, config: Any, num_workers: int) -> Sequence[Remedy]:
        """Ways for this run to need less memory, the first one to be tried first; each can run with so many workers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What a trainable declares of itself in a dict, such as `TRAITS = {"longer": ("steps",)}`; all may be left out."""

    checkpoints: tuple[str, ...] = ("last.pt", "best.pt")
    """Names of the files in `save_dir` that a run goes on from. It can where the first one is there; those that are
    there belong together, also where the results are in an object store."""
    kept: tuple[str, ...] = ("best.pt",)
    """Those of `checkpoints` that are of use when a run has finished. Once its result is recorded, a sweep removes the
    others, if all of these are there."""
    longer: tuple[str, ...] = ("epochs",)
    """Fields of the configuration of which more is the same experiment, trained for longer."""
    batch_parts: str = ""
    """The field that says into how many parts each batch is cut, which must be `cosmetic`. A run that finds too little
    memory is tried again with twice as many. "": there is none."""
    most_batch_parts: int = 4
    """With so many parts, a run that finds too little memory fails."""
