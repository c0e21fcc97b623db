"""The tables of the scattering sweeps: the experiments in the authors' form, wavelets against random, filter change."""

from collections.abc import Iterator, Mapping
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.comparison.cells import Cell, cells, labelled_runs
from analysis.comparison.confounds import in_force
from analysis.comparison.runs import metric_of
from analysis.numbers import is_missing
from analysis.ordering import experiment_order
from analysis.reading.results import Results, Setting
from analysis.tables.column import LABEL
from analysis.tables.table import Column, Table
from raysweep.experiment import ImpliedQuestions

SIZE_COLUMNS = (
    Column(name="arch", heading="architecture", importance=LABEL),
    Column(name="train_size", heading="train_size", form="g", importance=LABEL),
)


def scattering_cells(setting: Setting) -> list[Cell]:
    """The runs by architecture and train size: the arms have wavelets, the baselines random init."""
    return [cell for implied in _wavelets_or_random(setting) for cell in cells(setting, implied)]


def _wavelets_or_random(setting: Setting) -> list[ImpliedQuestions]:
    return [implied for implied in setting.families.implied if implied.compared == "random_init"]


def images_of(cell: Cell) -> float:
    """Training images, as far as the runs say; else the train size."""
    known = metric_of(pd.concat([cell.arm, cell.baseline]), "actual_train_samples")
    return float(known.iloc[0]) if len(known) else cell.value


def significance_table(results: Results) -> Table:
    """Wavelets fine-tuned against random init trained jointly, paired by seed: a row for each architecture and size."""
    rows = [row for setting in results.settings for row in _advantages(setting)]
    return Table.of(
        rows,
        name="significance",
        title="Wavelets (fine-tuned) against random init (joint), paired by seed",
        columns=(
            *SIZE_COLUMNS,
            Column(name="mean_scat", heading="wavelets finetune_acc", form=2, importance=70),
            Column(name="mean_rand", heading="random joint_acc", form=2, importance=70),
            Column(name="delta", heading="difference", form="+", importance=90),
            Column(name="std_delta", heading="std", form=2, importance=30),
            Column(name="ci95_lo", heading="95 % from", form="+", importance=80),
            Column(name="ci95_hi", heading="95 % to", form="+", importance=80),
            Column(name="p_value", heading="p", form="p"),
            Column(name="n_seeds", heading="n", form="n", importance=60),
        ),
        note="Percent and points; std and intervals with divisor n - 1; p by the paired t-test, not corrected for the "
        "number of rows (the answers' are). The authors' own table divides by n, which makes its std and intervals too "
        "narrow by sqrt((n - 1) / n).",
    )


def _advantages(setting: Setting) -> Iterator[dict[str, Any]]:
    for cell in scattering_cells(setting):
        sides = {}
        for side, rows, metric in (("scat", cell.arm, "finetune_acc"), ("rand", cell.baseline, "joint_acc")):
            values = metric_of(rows, metric)
            kept = rows.loc[values.index]
            seeds = kept["seed"].astype(object).where(kept["seed"].notna(), "none")
            by_seed = pd.DataFrame({f"value_{side}": values, f"run_{side}": kept["run"]}).set_index(seeds)
            sides[side] = by_seed[~by_seed.index.duplicated(keep="last")]
        pairs = pd.concat(sides.values(), axis=1, join="inner")
        if pairs.empty:
            continue
        deltas = (pairs["value_scat"] - pairs["value_rand"]).tolist()
        low, high = statistics.mean_interval(deltas) or (None, None)
        yield {
            "arch": cell.label,
            "train_size": cell.value,
            "mean_scat": pairs["value_scat"].mean(),
            "mean_rand": pairs["value_rand"].mean(),
            "delta": fmean(deltas),
            "std_delta": stdev(deltas) if len(deltas) > 1 else None,
            "p_value": statistics.t_test(deltas),
            "ci95_lo": low,
            "ci95_hi": high,
            "n_seeds": len(deltas),
            "train_images": images_of(cell),
            "dataset": setting.dataset,
            "setting": setting.title,
            "runs": " ".join([*pairs["run_scat"], *pairs["run_rand"]]),
        }


FEWEST_CORRELATED = 8
"""Pairs below which a correlation is noise, and is not shown."""


def spoken_correlation(correlation: float | None, pairs: int) -> str:
    """`+0.63 [+0.10, +0.88]`; "" for few pairs."""
    if correlation is None or pairs < FEWEST_CORRELATED:
        return ""
    interval = statistics.correlation_interval(correlation, pairs)
    return f"{correlation:+.2f}" + (" [{:+.2f}, {:+.2f}]".format(*interval) if interval else "")


def filter_change_table(results: Results) -> Table:
    """How far fine-tuning moved the filters and what it gained, by architecture and train size, with their correlation
    over seeds."""
    rows = []
    for setting in results.settings:
        once = {(cell.arm_label, cell.value): cell for cell in scattering_cells(setting)}
        for (arch, size), cell in once.items():
            part = cell.arm
            moved, gain = metric_of(part, "filter_delta_relative"), metric_of(part, "finetune_gain")
            both = moved.index.intersection(gain.index)
            if len(both) == 0:
                continue
            delta, gained = moved[both], gain[both]
            known = len(both) > 2 and delta.std() > 0 and gained.std() > 0
            correlation = float(delta.corr(gained)) if known else None
            rows.append(
                {
                    "arch": arch,
                    "train_size": size,
                    "delta_mean": delta.mean(),
                    "delta_std": delta.std() if len(both) > 1 else None,
                    "gain_mean": gained.mean(),
                    "gain_std": gained.std() if len(both) > 1 else None,
                    "corr_delta_gain": correlation,
                    "shown_correlation": spoken_correlation(correlation, len(both)),
                    "n_seeds": len(both),
                    "dataset": setting.dataset,
                    "setting": setting.title,
                    "runs": " ".join(part.loc[both, "run"]),
                }
            )
    return Table.of(
        rows,
        name="filter_change",
        title="Change of the filters against the gain of fine-tuning",
        columns=(
            *SIZE_COLUMNS,
            Column(name="delta_mean", heading="filter_delta_relative", form=3, importance=80),
            Column(name="delta_std", heading="std", form=3, importance=30),
            Column(name="gain_mean", heading="finetune_gain", form=2, importance=80),
            Column(name="gain_std", heading="std", form=2, importance=30),
            *[Column(name="shown_correlation", heading="correlation")] * any(row["shown_correlation"] for row in rows),
            Column(name="n_seeds", heading="n", form="n", importance=40),
        ),
        note="filter_delta_relative: L2 distance of the filters from before fine-tuning, over their norm; "
        "finetune_gain: in points; both means over n seeds, with their std. Correlation over seeds (Pearson) with its "
        "95 % interval (Fisher's z), from eight seeds on; the file has it from three on.",
    )


def experiments_table(results: Results) -> Table:
    """The experiments in the form of the authors' document: architecture, channels, and classifier sizes without and
    with global average pooling."""
    known: dict[str, dict[str, Any]] = {}
    for entry in results.plan:
        facts = entry.get("facts") or {}
        config = entry.get("config") or {}
        known.setdefault(entry["experiment"], {**facts, **config, "group": entry.get("group")})
    for setting in results.settings:
        for row in _scattering_runs(setting):
            known[row["experiment"]] = {**known.get(row["experiment"], {}), **row}
    rows = [_experiment(name, fields) for name, fields in known.items() if "modulus_type" in fields]
    rows.sort(key=lambda row: experiment_order(row["experiment"], row["train_size"]))
    return Table.of(
        rows,
        name="experiments",
        title="Experiments",
        columns=(
            Column(name="experiment", heading="ID"),
            Column(name="n_blocks", heading="blocks", form="g"),
            Column(name="L", heading="L", form="g"),
            Column(name="modulus_type", heading="modulus"),
            Column(name="kernel_size", heading="kernel", form="g"),
            Column(name="init", heading="init"),
            Column(name="lowpass_last", heading="lowpass-last"),
            Column(name="mixing_horizon", heading="horizon", form="g"),
            Column(name="horizon_in_force", heading="in force"),
            Column(name="global_avg_pool", heading="GAP"),
            Column(name="train_size", heading="train size", form="g"),
            Column(name="group", heading="group"),
            Column(name="final_channels", heading="channels", form="n"),
            Column(name="final_size", heading="size", form="g"),
            Column(name="classifier_no_gap", heading="classifier", form="M"),
            Column(name="classifier_gap", heading="with GAP", form="M"),
        ),
        note="Channels and side of the last block's output; weights of the linear layer. In force: the largest horizon "
        "that restricts a block, which may exceed the one asked for.",
    )


def _scattering_runs(setting: Setting) -> Iterator[dict[str, Any]]:
    """A run of each experiment, with the mixing horizon in force."""
    horizon = next((limit for limit in setting.families.confounds.in_force if limit.limit == "mixing_horizon"), None)
    for implied in _wavelets_or_random(setting):
        for row in labelled_runs(setting, implied).drop_duplicates("experiment").to_dict("records"):
            found = in_force(horizon, row.get(horizon.layers)) if horizon else ""
            yield {**{str(name): value for name, value in row.items()}, "horizon_in_force": found}


def _experiment(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A row; the classifier's weights are channels x size^2 x classes, or channels x classes with pooling."""
    names = ("n_blocks", "L", "modulus_type", "kernel_size", "lowpass_last", "mixing_horizon", "global_avg_pool")
    row = {"experiment": name, **{field: fields.get(field) for field in (*names, "train_size", "group")}}
    row["init"] = "random" if fields.get("random_init") is True else "wavelets"
    oriented = fields["n_blocks"] - (fields.get("lowpass_last") is True)
    channels = 3 * (1 + fields["L"]) ** oriented
    side, classes = fields.get("image_size"), fields.get("num_classes")
    row |= {"horizon_in_force": fields.get("horizon_in_force", ""), "final_channels": int(channels)}
    if side and classes and not is_missing(side) and not is_missing(classes):
        size = int(side) >> int(fields["n_blocks"])
        row |= {"final_size": size, "classifier_no_gap": int(channels * size**2 * classes)}
        row["classifier_gap"] = int(channels * classes)
    return row
