"""CIFAR-10 in a few epochs: the airbench cascade, its switches one by one, and what its author left open.

Each experiment runs at the number of epochs that brings its author 94 % (arXiv 2404.00498 and the repository's own
figures; mean test accuracy over n runs, seconds on one A100 without compilation and loading):

    baseline    35 epochs  94.06 (25)  14.5 s      lookahead   12 epochs    94.02 (200)  4.6 s
    whiten      21         94.00 (200)  8.6        tta         10.8         94.01 (25)   4.3
    dirac       18         94.01 (200)  7.3        mirror       9.9         94.02 (700)  3.95
    scalebias   13.5       94.01 (200)  5.5        compile      9.9         94.02 (700)  3.5
    freeze      13.5       94.03 (500)  5.2        muon         8           94.01 (200)  2.59

One run's accuracy has a standard deviation of about 0.14 points, so five seeds tell differences of 0.2 apart. On a CPU
with bfloat16 products `mirror` takes a quarter of an hour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, get_args

from raysweep.experiment import Confounds, Experiment, Family, Group, Metric, Question, Search
from search_spaces import image_data
from search_spaces.airbench_switches import ADDITIVE, EPOCHS_TO_94, SPOKEN_SWITCHES, SWITCHES, letters_on, purpose
from search_spaces.axes import Axes, Follows, points, tune_space
from trainables.airbench import ABLATIONS, AirbenchConfig
from trainables.airbench.config import TIMED_SEEDS, DatasetName

TRAINABLE = "trainables.airbench"

SEEDS = (0, 1, 2, 3, 4)
RUNS_PER_TRIAL = 25
"""A run takes seconds on a GPU, the start of its processes longer."""

BASE = replace(ABLATIONS["mirror"], dataset="cifar10")

AXES: Axes = {
    "whiten": (False, True),
    "dirac": (False, True),
    "scalebias": (False, True),
    "lookahead": (False, True),
    "tta": ("mirror", "six_views"),
    "flip": ("random", "alternating"),
}
"""The switches A to F, in the order of `SWITCHES`."""

FOLLOWS: Follows = {
    # Without whitening the first convolution is followed by a BatchNorm, and there is no bias to freeze.
    "stem": lambda point: "bias" if point.get("whiten", True) else "norm",
    "freeze": lambda point: point.get("whiten", True),
    # Lookahead comes with its learning rate, its schedule and fast batch norm.
    "lr": lambda point: 11.5 if point.get("lookahead", True) else 10.0,
    "bn_momentum": lambda point: 0.6 if point.get("lookahead", True) else 0.9,
    "lr_peak": lambda point: 0.23 if point.get("lookahead", True) else 0.2,
    "lr_end": lambda point: 0.07 if point.get("lookahead", True) else 0.0,
}

CASCADE = {
    "baseline": "standard initialisation, SGD with Nesterov momentum, image and mirror image averaged",
    "whiten": "whitening in place of the first BatchNorm",
    "dirac": "3x3 convolutions start as the identity",
    "scalebias": "biases of BatchNorm learn 64 times as fast",
    "freeze": "whitening bias frozen after the first epochs",
    "lookahead": "lookahead, fast BatchNorm, its own schedule",
    "tta": "six views averaged",
    "mirror": "alternating flip",
    "compile": "torch.compile",
}
"""Each step and what it adds to the one before."""

OPEN = {
    "freeze": CASCADE["freeze"],
    "fastbn": "freeze with fast BatchNorm (momentum 0.6)",
    "lookahead_on_slow_bn": "freeze with lookahead alone",
    "lookahead_on_fastbn": "freeze with lookahead and fast BatchNorm",
    "fastbn_lrsched": "fastbn with the schedule of lookahead",
    "lookahead_on_freeze": "lookahead and its schedule without fast BatchNorm, whitening bias learning throughout",
    **{name: f"freeze with six views, {ABLATIONS[name].epochs:g} epochs" for name in ABLATIONS if "tta_on" in name},
    "bias_stem": "baseline with a bias in place of the first BatchNorm",
}

_open_points = {
    "lookahead_on_slow_bn": replace(ABLATIONS["freeze"], lookahead=True),
    "lookahead_on_fastbn": replace(ABLATIONS["fastbn"], lookahead=True),
}


def space() -> dict[str, Any]:
    """The six switches as a Ray Tune search space (see `axes.tune_space`)."""
    return tune_space(AXES, FOLLOWS)


def switched(on: str) -> AirbenchConfig:
    """The configuration with the switches of these letters on and the others off, at 9.9 epochs."""
    point = {name: values[letter in on] for (letter, name), values in zip(SWITCHES.items(), AXES.values(), strict=True)}
    for name, rule in FOLLOWS.items():
        point[name] = rule(point)
    return replace(BASE, **point)


def _experiment(name: str, config: AirbenchConfig, priority: int, why: str) -> Experiment:
    return Experiment(
        name=name,
        config=replace(config, dataset="cifar10"),
        trainable=TRAINABLE,
        priority=priority,
        seeds=SEEDS,
        runs_per_trial=RUNS_PER_TRIAL,
        timed=True,
        timed_seeds=TIMED_SEEDS,
        why=why,
    )


def _experiments() -> tuple[Experiment, ...]:
    """The cascade in its order, then muon, the open questions and the switches."""
    steps = [*CASCADE.items()]
    made = [_experiment(name, ABLATIONS[name], i, why) for i, (name, why) in enumerate(steps)]
    made.append(_experiment("muon", ABLATIONS["muon"], len(steps), "Muon on the convolutions, batches of 2000"))
    configs = {**ABLATIONS, **_open_points}
    made += [_experiment(n, configs[n], len(steps) + 1, why) for n, why in OPEN.items() if n not in CASCADE]
    for name, epochs in EPOCHS_TO_94.items():
        config = replace(switched(letters_on(name)), epochs=epochs)
        made.append(_experiment(name, config, len(steps) + 2, purpose(name)))
    return tuple(made)


def grid(values: Mapping[str, Sequence[Any]]) -> tuple[list[Experiment], list[str]]:
    """Experiments over the given values of any fields, the rest as in `mirror`; and what cannot be, with the reason.

    What comes with a switch (the stem's BatchNorm without whitening, lookahead's schedule) follows it unless given.
    """
    switches = set(values) & {"whiten", "lookahead"}
    rules = FOLLOWS if switches else {}
    experiments, left_out = [], []
    for point in points(values, rules):
        spoken = " ".join(f"{name}={point[name]}" for name in values)
        try:
            config = replace(BASE, **point)
        except ValueError as error:
            left_out.append(f"{spoken}: {error}")
            continue
        name = "_".join(f"{name}={point[name]}" for name in values)
        experiments.append(_experiment(name, config, 0, spoken))
    return experiments, left_out


def _changes(before: str, after: str) -> tuple[str, ...]:
    """The fields in which two ablations differ."""
    one, other = ABLATIONS[before], ABLATIONS[after]
    return tuple(f.name for f in fields(AirbenchConfig) if getattr(one, f.name) != getattr(other, f.name))


METRICS = (
    Metric(name="final_acc", unit="%", resolution=1),
    Metric(name="acc_single_view", unit="%", resolution=1),
    Metric(name="train_seconds", unit="s", better="lower", digits=1),
    Metric(name="train_images_per_second", unit="images/s", digits=0),
    Metric(name="pflop", unit="PFLOP", better="lower", digits=3),
    Metric(name="seconds", unit="s", better="lower"),
)
"""`train_seconds` is the author's clock (whitening, training, evaluation); `seconds` also holds loading and warm-up."""

CONFOUNDS = Confounds(conditions={"batch_norm_images": "images of a batch norm", "computed_in": "computed in"})

MATTERS = 0.1
"""Points of accuracy; a run's standard deviation is about 0.14."""

SPEED: dict[str, Any] = {
    "kind": "time",
    "metrics": ("train_seconds",),
    "equal": "final_acc",
    "equal_within": MATTERS,
}
"""Less time at the same accuracy, each at the epochs that bring its author 94 %."""


def _step_question(before: str, step: str) -> Question:
    return Question(
        name="airbench_tta_step" if step == "tta" else f"airbench_{step}",  # airbench_tta asks about six views alone
        text=f"Is {step} ({CASCADE[step]}) faster than {before} at the same accuracy?",
        baseline=before,
        arms=(step,),
        smallest_effect=0.02,
        factor=_changes(before, step),
        family="airbench_cascade",
        **SPEED,
    )


QUESTIONS = (
    *(_step_question(before, step) for before, step in zip(CASCADE, list(CASCADE)[1:], strict=False)),
    Question(
        name="airbench_fastbn",
        text="Does fast BatchNorm, alone or with the new schedule, beat freeze?",
        baseline="freeze",
        arms=("fastbn", "fastbn_lrsched"),
        metrics=("final_acc",),
        smallest_effect=MATTERS,
        factor=("bn_momentum", "lr_peak", "lr_end"),
        family="airbench_open",
    ),
    Question(
        name="airbench_lookahead_fastbn",
        text="Does lookahead help only with fast BatchNorm (more with it than without)?",
        kind="interaction",
        baseline="freeze",
        arms=("lookahead_on_slow_bn", "fastbn", "lookahead_on_fastbn"),
        metrics=("final_acc",),
        smallest_effect=MATTERS,
        factor=("lookahead", "bn_momentum"),
        family="airbench_open",
    ),
    Question(
        name="airbench_tta",
        text="Do six views help freeze, at the same epochs?",
        baseline="freeze",
        arms=("tta_on_freeze_13.5",),
        metrics=("final_acc",),
        smallest_effect=MATTERS,
        factor=("tta",),
        family="airbench_open",
    ),
    Question(
        name="airbench_muon",
        text="Is Muon faster than mirror at the same accuracy?",
        baseline="mirror",
        arms=("muon",),
        smallest_effect=0.02,
        factor=_changes("mirror", "muon"),
        family="airbench_speed",
        **SPEED,
    ),
    Question(
        name="airbench_94",
        text="Does it reach 94 % on average?",
        kind="target",
        target=94.0,
        dataset="cifar10",
        arms=(*CASCADE, "muon", *(name for name in OPEN if name not in CASCADE), *EPOCHS_TO_94),
        metrics=("final_acc",),
        family="airbench_94",
    ),
    Question(
        name="airbench_epochs_to_target",
        text=f"How many epochs does each setting need, and do savings add up? ({SPOKEN_SWITCHES})",
        kind="search",
        target=94.0,
        search=Search(over="epochs", limits=(1.0, 200.0), additive=ADDITIVE, published=EPOCHS_TO_94),
        arms=tuple(EPOCHS_TO_94),
        metrics=("final_acc",),
    ),
)

GROUPS = (
    Group(name="airbench-cascade", experiments=tuple(CASCADE), why="the nine steps, each at its own epochs"),
    Group(name="airbench-switches", experiments=tuple(EPOCHS_TO_94), why="six switches, one off and one on"),
    Group(name="airbench-open", experiments=tuple(OPEN), why="what the author left open: fast BatchNorm, lookahead"),
    Group(name="airbench-speed", experiments=("mirror", "compile", "muon"), why="the fastest: mirror, compile, muon"),
    Group(
        name="epochs-to-target",
        experiments=tuple(EPOCHS_TO_94),
        search="airbench_epochs_to_target",
        why="fewest epochs to 94 % (--target) by switches; any other setting by --grid",
    ),
)

FAMILY = Family(
    name="airbench",
    dataset="cifar10",
    experiments=_experiments(),
    groups=GROUPS,
    questions=QUESTIONS,
    grid=grid,
    datasets=get_args(DatasetName),
    locate=image_data.locate,
    elsewhere=image_data.elsewhere,
    metrics=METRICS,
    columns=("final_acc", "train_seconds"),
    confounds=CONFOUNDS,
    # 1,438 images make eleven batches of 128. A mirrored digit is none, so the steps run and their order means nothing.
    embedded={"batch_size": 128},
)
