"""A family that nobody has heard of, with metrics, phases, a limit and an implied question of its own."""

from dataclasses import dataclass

from raysweep.experiment import (
    Confounds,
    Experiment,
    Family,
    Group,
    ImpliedQuestions,
    InForce,
    Metric,
    Phase,
    Question,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of a language model that does not exist."""

    optimizer: str = "sgd"
    width: int = 16
    rank: int | None = None
    epochs: int = 10
    seed: int = 0
    save_dir: str = ""


def experiment(name, **fields):
    return Experiment(name=name, config=Config(**fields), trainable="own.trainable")


METRICS = (
    Metric(name="val_loss", unit="nats", better="lower", digits=3),
    Metric(name="tokens_per_second", unit="tokens/s", label="speed", digits=0),
    Metric(name="perplexity", unit="", better="lower", phases=("main",)),
    Metric(name="sparsity", unit="%", better=None),
)
CONFOUNDS = Confounds(
    conditions={"kernels": "kernels"},
    in_force=(InForce(limit="rank", label="rank", layers="ranks", size="width", unrestricted="full rank"),),
    phases=(Phase(name="main", trained="main_epochs", limit=("epochs",)),),
)
IMPLIED = ImpliedQuestions(
    compared="optimizer",
    arm="adam",
    baseline="sgd",
    label="lm[_r{rank:g}]",
    over="width",
    difference=Question(
        name="adam_{label}_{value}",
        text="Does Adam help {label} at {spoken}?",
        arms=("adam",),
        baseline="sgd",
        metrics=("val_loss",),
        factor=("optimizer",),
        smallest_effect=0.01,
    ),
)
DIFFERENCE = Question(
    name="adam", text="Does Adam help?", baseline="sgd", arms=("adam",), metrics=("val_loss",), smallest_effect=0.01
)


def family(**changes):
    """The family, with some of its parts changed."""
    parts = {
        "name": "own",
        "dataset": "text",
        "experiments": (experiment("sgd"), experiment("adam", optimizer="adam")),
        "groups": (Group(name="optimizers", experiments=("sgd", "adam")),),
        "questions": (DIFFERENCE,),
        "grid": lambda axes: ([], []),
        "metrics": METRICS,
        "confounds": CONFOUNDS,
        "implied": (IMPLIED,),
    }
    return Family(**{**parts, **changes})
