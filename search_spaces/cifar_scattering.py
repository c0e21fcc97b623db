"""CIFAR-10: do wavelets help, and how much at which train size?

Two architectures, wavelet init in two phases against random init trained jointly, at seven train sizes and five seeds:
140 runs, of 1 to 30 minutes each on a recent GPU. The authors' means (5 seeds; fine-tuned against random):

    train size                     5 %          10 %         20 %         50 %         100 %
    3b_cmod_L4              68.5 / 64.0  73.5 / 70.9  78.4 / 76.8  83.0 / 82.9  86.4 / 86.0
    4b_cmod_L4_h27          67.7 / 60.0  73.2 / 69.0  78.0 / 76.2  83.7 / 81.5  86.8 / 85.3
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from raysweep.experiment import Experiment, Family, Filter, Group, Question
from search_spaces import image_data
from search_spaces.axes import Axes, points, tune_space
from search_spaces.scattering_grid import TRAINABLE, architecture_name, configure, run_name
from search_spaces.scattering_metrics import COLUMNS, CONFOUNDS, IMPLIED, METRICS
from trainables.scattering import ScatteringConfig
from trainables.scattering.config import DatasetName

BASE = ScatteringConfig(dataset="cifar10", n_blocks=3, L=4, kernel_size=5, lr_epochs=20, epochs=150)

AXES: Axes = {
    "n_blocks": (3, 4),
    "random_init": (False, True),
    "train_size": (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
}

FOLLOWS = {
    # Four blocks without a horizon or with the wavelet paths of the last one would be out of proportion on 32 pixels.
    "mixing_horizon": lambda point: 27 if point["n_blocks"] >= 4 else None,
    "lowpass_last": lambda point: point["n_blocks"] >= 4,
    # A random extractor has nothing to be frozen for.
    "joint": lambda point: point["random_init"],
    "epochs": lambda point: 180 if point["joint"] else 150,
}

SEEDS = (42, 43, 44, 45, 46)


def space() -> dict[str, Any]:
    """The family's axes as a Ray Tune search space (see `axes.tune_space`)."""
    return tune_space(AXES, FOLLOWS)


def grid(values: Mapping[str, Sequence[Any]]) -> tuple[list[Experiment], list[str]]:
    """Experiments over the given values of any fields, the rest as in the base; and what cannot be, with the reason.

    Small train sizes come first: they are cheap, and both arms of a question finish together.
    """
    axes = {name: values.get(name, (getattr(BASE, name),)) for name in AXES} | dict(values)
    configs, left_out = configure(BASE, points(axes, FOLLOWS))
    sizes = sorted({config.train_size if config.train_size > 1 else config.train_size * 50_000 for config in configs})
    experiments = [
        Experiment(
            name=_name(config),
            config=config,
            trainable=TRAINABLE,
            priority=sizes.index(config.train_size if config.train_size > 1 else config.train_size * 50_000),
            seeds=SEEDS,
            why=f"{'random, joint' if config.joint else 'wavelets, two-phase'} at train size {config.train_size:g}",
        )
        for config in configs
    ]
    return experiments, left_out


def _name(config: ScatteringConfig) -> str:
    point = {"n_blocks": config.n_blocks, "random_init": config.random_init}
    implied, _ = configure(BASE, points({name: (value,) for name, value in point.items()}, FOLLOWS))
    return run_name(config, implied[0])


_experiments, _ = grid(AXES)


RECIPE = ("random_init", "joint", "epochs")
"""A random extractor has nothing to be frozen for: it is trained jointly, for as many epochs as both phases together
and ten more."""


OF_AN_ARCHITECTURE = (
    *("n_blocks", "L", "modulus_type", "kernel_size", "mixing_horizon", "lowpass_last", "global_avg_pool"),
    *("l2_penalty", "global_batch_size"),
)
"""What all runs of a trend have in common."""


def _question(wavelets: Experiment) -> Question:
    architecture, size = architecture_name(wavelets.config), wavelets.name.rpartition("_")[2]
    return Question(
        name=f"wavelets_{wavelets.name}",
        text=f"Do wavelets help {architecture} at {100 * wavelets.config.train_size:g} % of the training images?",
        baseline=f"{architecture}_rand_{size}",
        arms=(wavelets.name,),
        metrics=("final_acc",),
        factor=RECIPE,
    )


def _trend(architecture: str, n_blocks: int) -> Question:
    base = next(e.config for e in _experiments if e.config.n_blocks == n_blocks)
    fields = {name: getattr(base, name) for name in OF_AN_ARCHITECTURE}
    wavelets, random = (
        Filter(label=f"{architecture}{label}", fields={**fields, "random_init": init, "joint": init})
        for label, init in (("", False), ("_rand", True))
    )
    return Question(
        name=f"advantage_{architecture}",
        text=f"Do wavelets help {architecture} more, the fewer training images there are?",
        kind="trend",
        arms=(wavelets,),
        baseline=random,
        metrics=("final_acc",),
        better="lower",
        smallest_effect=0.25,
        factor=(*RECIPE, "train_size"),
    )


FAMILY = Family(
    name="cifar_scattering",
    dataset="cifar10",
    experiments=tuple(_experiments),
    groups=(
        Group(
            name="cifar",
            experiments=tuple(e.name for e in _experiments),
            why="wavelets against random init by train size, 2 architectures, 5 seeds",
        ),
    ),
    questions=(
        *(_question(e) for e in _experiments if not e.config.random_init),
        *{
            architecture_name(e.config): _trend(architecture_name(e.config), e.config.n_blocks) for e in _experiments
        }.values(),
    ),
    grid=grid,
    datasets=get_args(DatasetName),
    locate=image_data.locate,
    elsewhere=image_data.elsewhere,
    metrics=METRICS,
    columns=COLUMNS,
    confounds=CONFOUNDS,
    implied=IMPLIED,
    embedded={"lr_epochs": 5, "epochs": 5},
)
