"""What the scattering families measure, what makes their runs hard to compare, and what they answer unasked."""

from typing import Any

from raysweep.experiment import LOADER_BOUND, Confounds, ImpliedQuestions, InForce, Metric, Phase, Question, Selected

HEAD, TUNED = ("head",), ("finetune", "joint")
"""The phases of training that metrics depend on: that of the head on frozen filters, or the last one."""


def _accuracy(name: str, **more: Any) -> Metric:
    return Metric(name=name, unit="%", resolution=1, **more)


def _selected(*metrics: str, curves: tuple[str, ...]) -> Selected:
    return Selected(metrics=metrics, curves=curves, value="val_acc", images="validation")


def _speed(phase: str, **more: Any) -> Metric:
    return Metric(name=f"{phase}_images_per_second", unit="images/s", digits=0, **more)


def _wait(phase: str, **more: Any) -> Metric:
    """The part of a phase's time for which it waits for images; shown where plans would say so, too."""
    return Metric(
        name=f"{phase}_data_wait",
        label=f"{phase}_data_wait (%)",
        unit="% of the time",
        better="lower",
        digits=0,
        least_shown=LOADER_BOUND,
        **more,
    )


METRICS = (
    _accuracy("head_acc", phases=HEAD),
    _accuracy("head_acc5", phases=HEAD, least_classes=11),
    _accuracy("baseline_acc", phases=HEAD),
    _accuracy("finetune_acc", phases=TUNED),
    _accuracy("finetune_acc5", phases=TUNED, least_classes=11),
    Metric(name="finetune_gain", unit="points", resolution=2, phases=TUNED),
    _accuracy("joint_acc", phases=TUNED),
    _accuracy("joint_acc5", phases=TUNED, least_classes=11),
    _accuracy("final_acc", phases=TUNED),
    _accuracy("final_acc5", phases=TUNED, least_classes=11),
    _accuracy("final_acc_last5", phases=TUNED),
    Metric(name="filter_delta_relative", unit="", better=None, digits=3, phases=TUNED),
    Metric(name="filter_delta_l2", unit="", better=None, digits=3, phases=TUNED),
    Metric(name="n_params_total", unit="parameters", better="lower"),
    _speed("head", phases=HEAD),
    _speed("finetune", phases=TUNED),
    _speed("joint", phases=TUNED),
    _wait("head", phases=HEAD),
    _wait("finetune", phases=TUNED),
    _wait("joint", phases=TUNED),
    Metric(name="seconds", unit="s", better="lower", phases=TUNED),
)
"""Accuracies are those of the head on frozen filters, after fine-tuning, and after joint training. `finetune_gain` is
the accuracy after fine-tuning less that at its start, `filter_delta_relative` the filters' change over their norm, and
`final_acc_last5` the mean over the last five epochs of what `final_acc` is the best of."""

COLUMNS = (
    *("train_size", "head_acc", "head_acc5", "finetune_acc", "finetune_acc5", "finetune_gain", "joint_acc"),
    *("joint_acc5", "filter_delta_relative", "n_params_total", "finetune_images_per_second", "seconds"),
    *("head_data_wait", "finetune_data_wait", "joint_data_wait"),
)

CONFOUNDS = Confounds(
    conditions={
        "batch_norm_images": "images of a batch norm",
        "computed_in": "computed in",
        "validation": "best epoch picked on",
    },
    in_force=(
        # Groups of channels have to divide them, so the horizon in force may be larger than the one asked for.
        InForce(
            limit="mixing_horizon",
            label="mixing horizon",
            layers="block_summary",
            size="in_channels",
            unrestricted="all channels",
        ),
    ),
    phases=(
        Phase(name="head", trained="head_epochs", limit=("lr_epochs", "epochs"), where={"joint": False}),
        Phase(name="finetune", trained="finetune_epochs", limit=("epochs",), where={"joint": False}),
        Phase(name="joint", trained="joint_epochs", limit=("epochs",), where={"joint": True}),
    ),
    selected=(
        _selected("final_acc", curves=("phase_a", "phase_b", "joint")),
        _selected("head_acc", "baseline_acc", curves=("phase_a",)),
        _selected("finetune_acc", "finetune_gain", curves=("phase_b",)),
        _selected("joint_acc", curves=("joint",)),
    ),
)

RECIPES = ("random_init", "joint", "epochs", "lr_epochs", "lr_extractor", "l2_penalty", "half_cache")
"""The fields in which wavelets in two phases and a random init trained jointly differ by their recipes."""

IMPLIED = (
    ImpliedQuestions(
        compared="random_init",
        arm=False,
        baseline=True,
        label="{n_blocks:g}b_{modulus_type}_L{L:g}[_h{mixing_horizon:g}]",
        words={"complex_modulus": "cmod", "phase_relu": "prelu"},
        baseline_suffix="_rand",
        difference=Question(
            name="wavelets_{label}_{value}",
            text="Do wavelets help {label} at {spoken}?",
            arms=("wavelets",),
            baseline="random init",
            metrics=("final_acc",),
            factor=RECIPES,
            family="wavelets",
        ),
        trend=Question(
            name="advantage_{label}",
            text="Do wavelets help {label} more, the fewer training images there are?",
            kind="trend",
            arms=("wavelets",),
            baseline="random init",
            metrics=("final_acc",),
            better="lower",
            smallest_effect=0.25,
            factor=(*RECIPES, "train_size"),
            family="wavelets",
        ),
        series=(
            *("n_blocks", "L", "modulus_type", "kernel_size", "mixing_horizon", "lowpass_last", "global_avg_pool"),
            *("random_init", "joint"),
        ),
    ),
)
"""What the authors' result files are asked, and any other folder without questions."""
