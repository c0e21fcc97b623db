"""ImageNet: depth, orientations, modulus and data efficiency of learnable scattering networks (experiments A to I).

From the authors' experiment document. 8 workers x 128 images, 20 epochs of the head on frozen wavelets, then up to 100
of fine-tuning with early stopping. The classifier holds most parameters unless global average pooling is on; D and G
have 964 M weights there without it. If memory runs out: global_avg_pool, a global batch of 512, or mixing_horizon=27;
each of them makes another experiment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from raysweep.experiment import Experiment, Family, Filter, Group, Question
from search_spaces import image_data
from search_spaces.axes import Axes, points, tune_space
from search_spaces.scattering_grid import TRAINABLE, configure, run_name
from search_spaces.scattering_metrics import COLUMNS, CONFOUNDS, IMPLIED, METRICS
from trainables.scattering import ScatteringConfig
from trainables.scattering.config import DatasetName

BASE = ScatteringConfig(
    dataset="imagenet",
    n_blocks=4,
    L=4,
    lowpass_last=True,
    global_batch_size=1024,
    lr_epochs=20,
    print_freq=200,
)
"""Experiment C, the baseline of every question."""

NUM_WORKERS = 8

AXES: Axes = {
    "n_blocks": (4, 5),
    "L": (4, 8),
    "modulus_type": ("complex_modulus", "phase_relu"),
    "mixing_horizon": (None, 27),
    "train_size": (0.1, 0.3, 1.0),
}


def space() -> dict[str, Any]:
    """The family's axes as a Ray Tune search space (see `axes.tune_space`)."""
    return tune_space(AXES, {})


def _experiment(name: str, priority: int, why: str, **changes: Any) -> Experiment:
    return Experiment(
        name=name,
        config=replace(BASE, **changes),
        trainable=TRAINABLE,
        priority=priority,
        num_workers=NUM_WORKERS,
        why=why,
    )


EXPERIMENTS = (
    _experiment("C", 0, "4 blocks, the baseline: every other question needs it"),
    _experiment("A", 1, "5 blocks", n_blocks=5),
    _experiment("F", 1, "phase ReLU", modulus_type="phase_relu"),
    _experiment("E", 2, "8 orientations", L=8, mixing_horizon=27),
    _experiment("H", 3, "10 % of the images", train_size=0.1),
    _experiment("I", 3, "30 % of the images", train_size=0.3),
    _experiment("B", 4, "5 blocks, horizon 27", n_blocks=5, mixing_horizon=27),
    _experiment("D", 4, "5 blocks, 8 orientations", n_blocks=5, L=8, mixing_horizon=27),
    _experiment("G", 4, "D with phase ReLU", n_blocks=5, L=8, mixing_horizon=27, modulus_type="phase_relu"),
)

GROUPS = (
    Group(name="depth", experiments=("C", "A", "B"), why="4 or 5 blocks"),
    Group(name="orientations", experiments=("E", "D"), why="L = 8, to be compared with C and A"),
    Group(name="modulus", experiments=("F", "G"), why="phase ReLU, to be compared with C and D"),
    Group(name="data-efficiency", experiments=("H", "I"), why="10 and 30 % of the images, to be compared with C"),
    Group(name="all", experiments=tuple(e.name for e in EXPERIMENTS), why="A to I"),
)

ACCURACY = ("head_acc", "finetune_gain")

CONFOUNDED = (
    "No pair of A to I isolates L: E and D have a horizon of 27 where C and A have none, and with the horizon asked "
    "equal (B and D) the one in force is 75 for L = 4 and 27 for L = 8."
)

AXES_OF_A_POINT = ("n_blocks", "L", "modulus_type", "mixing_horizon", "train_size", "lowpass_last", "global_avg_pool")


def _point(label: str, **changes: Any) -> Filter:
    """The runs of C with some fields changed, by whichever experiment."""
    config = replace(BASE, **changes)
    return Filter(label=label, fields={name: getattr(config, name) for name in AXES_OF_A_POINT})


QUESTIONS = (
    Question(
        name="depth",
        text="Does a 5th block help?",
        baseline="C",
        arms=("A",),
        metrics=ACCURACY,
        factor=("n_blocks",),
    ),
    Question(
        name="horizon",
        text="Is head_acc the same with a mixing horizon of 27 at 5 blocks?",
        kind="equivalence",
        baseline="A",
        arms=("B",),
        metrics=("head_acc",),
        factor=("mixing_horizon",),
        note="On frozen wavelets a horizon changes nothing: it only says which channels may learn to mix.",
    ),
    Question(
        name="horizon_speed",
        text="Does a mixing horizon of 27 bring speed at 5 blocks, at the same head_acc?",
        kind="time",
        baseline="A",
        arms=("B",),
        metrics=("finetune_images_per_second",),
        equal="head_acc",
        smallest_effect=0.05,
        factor=("mixing_horizon",),
    ),
    Question(
        name="orientations_4b",
        text="Does L = 8 beat L = 4, at 4 blocks?",
        baseline="C",
        arms=("E",),
        metrics=ACCURACY,
        factor=("L",),
        note=CONFOUNDED,
        # Channels are 3 * 5^k and 3 * 9^k: 3 is the only horizon that both can have in force, and "none" the other way.
        isolated_by="--group all --grid L=8",
    ),
    Question(
        name="orientations_5b",
        text="Does L = 8 beat L = 4, at 5 blocks?",
        baseline="A",
        arms=("D",),
        metrics=ACCURACY,
        factor=("L",),
        note=CONFOUNDED,
        # Without a horizon the 5th block at L = 8 would have 19,683 x 19,683 filters: 19 G parameters.
        isolated_by="--group all --grid n_blocks=5 L=4,8 mixing_horizon=3",
    ),
    Question(
        name="orientations_4b_alone",
        text="Does L = 8 beat L = 4 at 4 blocks, without a horizon in both?",
        baseline="C",
        arms=(_point("C with L = 8", L=8),),
        metrics=ACCURACY,
        factor=("L",),
    ),
    Question(
        name="orientations_5b_alone",
        text="Does L = 8 beat L = 4 at 5 blocks, with a horizon of 3 in both?",
        baseline=_point("A with horizon 3", n_blocks=5, mixing_horizon=3),
        arms=(_point("D with horizon 3", n_blocks=5, L=8, mixing_horizon=3),),
        metrics=ACCURACY,
        factor=("L",),
    ),
    Question(
        name="modulus_4b",
        text="Does phase ReLU beat the complex modulus, at 4 blocks?",
        baseline="C",
        arms=("F",),
        metrics=ACCURACY,
        factor=("modulus_type",),
    ),
    Question(
        name="modulus_5b",
        text="Does phase ReLU beat the complex modulus, at 5 blocks with L = 8?",
        baseline="D",
        arms=("G",),
        metrics=ACCURACY,
        factor=("modulus_type",),
    ),
    Question(
        name="data_efficiency",
        text="Does the gain of fine-tuning rise with the train size?",
        kind="trend",
        arms=("H", "I", "C"),
        metrics=("finetune_gain",),
        factor=("train_size",),
    ),
)


def grid(values: Mapping[str, Sequence[Any]]) -> tuple[list[Experiment], list[str]]:
    """Experiments over the given values of any fields, the rest as in C; and what cannot be, with the reason.

    A point that is one of A to I keeps that name and priority; the others come after as many steps as axes in which
    they differ from C.
    """
    configs, left_out = configure(BASE, points(values, {}))
    experiments = []
    for config in configs:
        known = next((e for e in EXPERIMENTS if e.config == config), None)
        distance = sum(getattr(config, name) != getattr(BASE, name) for name in values)
        name = run_name(config, BASE)
        experiments.append(known or _experiment(name, distance, "a point of the grid", **_changes(config, values)))
    return experiments, left_out


def _changes(config: ScatteringConfig, values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {name: getattr(config, name) for name in values}


FAMILY = Family(
    name="imagenet_scattering",
    dataset="imagenet",
    experiments=EXPERIMENTS,
    groups=GROUPS,
    questions=QUESTIONS,
    grid=grid,
    datasets=get_args(DatasetName),
    locate=image_data.locate,
    elsewhere=image_data.elsewhere,
    metrics=METRICS,
    columns=COLUMNS,
    confounds=CONFOUNDS,
    implied=IMPLIED,
    # 1,438 images make 12 steps of 128: a few epochs with small steps for filters that see up to 1,875 channels.
    # They show that everything runs, and answer nothing about ImageNet.
    embedded={"global_batch_size": 128, "lr_epochs": 5, "epochs": 2, "lr_extractor": 1e-5},
)
