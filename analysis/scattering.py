"""The tables of the scattering sweeps: the experiments in the seed's form, wavelets against random, filter change."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.comparability import horizon_in_force
from analysis.comparison import metric_of, varied_fields
from analysis.original import architecture
from analysis.results import Question, Results, Setting
from analysis.table import Column, Table

SIZE_COLUMNS = (Column(name="arch", heading="architecture"), Column(name="train_size", heading="train size", form="g"))

DIFFER = ("random_init", "joint", "epochs", "lr_epochs", "lr_extractor", "l2_penalty", "half_cache")
"""In what wavelets in two phases and a random init trained jointly differ by their recipes."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Runs of one architecture at one train size, which differ in init, recipe and seed."""

    arch: str
    """Its name; where several cells would have the same, with what else tells them apart."""
    train_size: float
    wavelets: pd.DataFrame
    """Runs of one recipe; none where there is no such run."""
    random: pd.DataFrame

    @property
    def images(self) -> float:
        """Training images, as far as the runs say; else the train size."""
        runs = pd.concat([self.wavelets, self.random])
        known = metric_of(runs, "actual_train_samples")
        return float(known.iloc[0]) if len(known) else self.train_size

    def side(self, random: bool) -> pd.DataFrame:
        """The runs of one init."""
        return self.random if random else self.wavelets


def scattering_runs(setting: Setting) -> pd.DataFrame:
    """The runs of scattering networks, with their architecture in `arch`."""
    runs = setting.runs
    if runs.empty or not {"n_blocks", "L", "modulus_type", "random_init", "train_size"} <= set(runs):
        return runs.iloc[:0]
    rows = runs[runs[["n_blocks", "L", "modulus_type", "train_size"]].notna().all(axis=1)]
    config = rows.reindex(columns=["n_blocks", "L", "modulus_type", "mixing_horizon"]).to_dict("records")
    return rows.assign(arch=[architecture(point) for point in config]) if len(rows) else rows


def cells(setting: Setting) -> list[Cell]:
    """All cells, by architecture and train size. Runs of different recipes are never in one side of a cell."""
    rows = scattering_runs(setting)
    if rows.empty:
        return []
    named = ("n_blocks", "L", "modulus_type", "mixing_horizon", "train_size")
    further = varied_fields(rows, setting, (*DIFFER, *named))
    found = []
    for arch, alike in rows.groupby("arch", sort=True):
        for suffix, same in _told_apart(alike, further):
            random = same["random_init"].astype(bool)
            sides = [
                [*_told_apart(side, varied_fields(side, setting, (*further, *named)))] or [("", side)]
                for side in (same[~random], same[random])
            ]
            for (one, wavelets), (other, drawn) in itertools.product(*sides):
                name = f"{arch}{suffix}{one}{other and f'_against{other}'}"
                sizes = sorted({*wavelets["train_size"], *drawn["train_size"]})
                found += [
                    Cell(
                        arch=name,
                        train_size=float(size),
                        wavelets=wavelets[wavelets["train_size"] == size],
                        random=drawn[drawn["train_size"] == size],
                    )
                    for size in sizes
                ]
    return found


def _told_apart(rows: pd.DataFrame, fields: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows by those of the fields that vary among them, each part with what it is called by."""
    varied = [name for name in fields if rows[name].astype(str).nunique() > 1]
    if not varied:
        yield from [("", rows)] if len(rows) else []
        return
    for values, part in rows.groupby([rows[name].astype(str) for name in varied], sort=True):
        yield "".join(f"_{name}={value}" for name, value in zip(varied, values, strict=True)), part


def implied_questions(setting: Setting) -> list[Question]:
    """Whether wavelets help, for each architecture and train size of which there are both: what a folder without
    questions of its own answers. Nobody wrote them down beforehand."""
    by_arch: dict[str, list[Cell]] = {}
    for cell in cells(setting):
        if len(cell.wavelets) and len(cell.random):
            by_arch.setdefault(cell.arch, []).append(cell)
    questions = [_implied_question(cell) for found in by_arch.values() for cell in found]
    return [*questions, *(_implied_trend(arch, found) for arch, found in by_arch.items() if len(found) > 2)]


def _implied_question(cell: Cell) -> Question:
    size = cell.train_size
    spoken = f"{100 * size:g} % of the training images" if size <= 1 else f"{size:g} training images"
    return {
        "name": f"wavelets_{cell.arch}_{size:g}",
        "text": f"Do wavelets help {cell.arch} at {spoken}?",
        "arms": list(dict.fromkeys(cell.wavelets["experiment"])),
        "baseline": next(iter(cell.random["experiment"])),
        "metrics": ["final_acc"],
        "factor": list(DIFFER),
        "family": "wavelets",
    }


OF_AN_ARCHITECTURE = (
    *("n_blocks", "L", "modulus_type", "kernel_size", "mixing_horizon", "lowpass_last", "global_avg_pool"),
    *("random_init", "joint"),
)


def _implied_trend(arch: str, found: Sequence[Cell]) -> Question:
    """Whether the advantage of wavelets grows with fewer images, over the cells of an architecture."""
    arms = []
    for label, runs in (("", found[0].wavelets), ("_rand", found[0].random)):
        first = runs.iloc[0]
        known = {name: first[name] for name in OF_AN_ARCHITECTURE if name in runs}
        fields = {name: None if pd.isna(value) else value for name, value in known.items()}
        arms.append({"label": f"{arch}{label}", "fields": fields})
    return {
        "name": f"advantage_{arch}",
        "text": f"Do wavelets help {arch} more, the fewer training images there are?",
        "kind": "trend",
        "arms": arms[:1],
        "baseline": arms[1],
        "metrics": ["final_acc"],
        "better": "lower",
        "smallest_effect": 0.25,
        "factor": [*DIFFER, "train_size"],
        "family": "wavelets",
    }


def significance_table(results: Results) -> Table:
    """Wavelets fine-tuned against random init trained jointly, paired by seed: a row for each architecture and size."""
    rows = [row for setting in results.settings for row in _advantages(setting)]
    return Table.of(
        rows,
        name="significance",
        title="Wavelets (fine-tuned) against random init (joint), paired by seed",
        columns=(
            *SIZE_COLUMNS,
            Column(name="mean_scat", heading="wavelets", form=2),
            Column(name="mean_rand", heading="random", form=2),
            Column(name="delta", heading="difference", form="+"),
            Column(name="std_delta", heading="std", form=2),
            Column(name="ci95_lo", heading="95 % from", form="+"),
            Column(name="ci95_hi", heading="to", form="+"),
            Column(name="p_value", heading="p", form="p"),
            Column(name="n_seeds", heading="n", form="n"),
        ),
        note="Percent and points; std and intervals with divisor n - 1; p by the paired t-test, not corrected for the "
        "number of rows (the answers' are). The authors' own table divides by n, which makes its std and intervals too "
        "narrow by sqrt((n - 1) / n).",
    )


def _advantages(setting: Setting) -> Iterator[dict[str, Any]]:
    for cell in cells(setting):
        sides = {}
        for side, rows, metric in (("scat", cell.wavelets, "finetune_acc"), ("rand", cell.random, "joint_acc")):
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
            "arch": cell.arch,
            "train_size": cell.train_size,
            "mean_scat": pairs["value_scat"].mean(),
            "mean_rand": pairs["value_rand"].mean(),
            "delta": fmean(deltas),
            "std_delta": stdev(deltas) if len(deltas) > 1 else None,
            "p_value": statistics.t_test(deltas),
            "ci95_lo": low,
            "ci95_hi": high,
            "n_seeds": len(deltas),
            "train_images": cell.images,
            "dataset": setting.dataset,
            "setting": setting.title,
            "runs": " ".join([*pairs["run_scat"], *pairs["run_rand"]]),
        }


def filter_change_table(results: Results) -> Table:
    """How far fine-tuning moved the filters and what it gained, by architecture and train size, with their correlation
    over seeds."""
    rows = []
    for setting in results.settings:
        once = {(cell.arch.partition("_against")[0], cell.train_size): cell for cell in cells(setting)}
        for (arch, size), cell in once.items():
            part = cell.wavelets
            moved, gain = metric_of(part, "filter_delta_relative"), metric_of(part, "finetune_gain")
            both = moved.index.intersection(gain.index)
            if len(both) == 0:
                continue
            delta, gained = moved[both], gain[both]
            known = len(both) > 2 and delta.std() > 0 and gained.std() > 0
            rows.append(
                {
                    "arch": arch,
                    "train_size": size,
                    "delta_mean": delta.mean(),
                    "delta_std": delta.std() if len(both) > 1 else None,
                    "gain_mean": gained.mean(),
                    "gain_std": gained.std() if len(both) > 1 else None,
                    "corr_delta_gain": delta.corr(gained) if known else None,
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
            Column(name="delta_mean", heading="filters moved", form=3),
            Column(name="delta_std", heading="std", form=3),
            Column(name="gain_mean", heading="gain", form=2),
            Column(name="gain_std", heading="std", form=2),
            Column(name="corr_delta_gain", heading="correlation", form=2),
            Column(name="n_seeds", heading="n", form="n"),
        ),
        note="Moved: L2 distance of the filters from before fine-tuning, over their norm. Gain in points. Correlation "
        "over seeds (Pearson), from three seeds on.",
    )


def experiments_table(results: Results) -> Table:
    """The experiments in the form of the seed document: architecture, channels, and classifier sizes without and with
    global average pooling."""
    known: dict[str, dict[str, Any]] = {}
    for entry in results.plan:
        facts = entry.get("facts") or {}
        known.setdefault(entry["experiment"], {**facts, **entry["config"], "group": entry["group"]})
    for setting in results.settings:
        for row in scattering_runs(setting).drop_duplicates("experiment").to_dict("records"):
            known[row["experiment"]] = {**known.get(row["experiment"], {}), **{str(k): v for k, v in row.items()}}
    rows = [_experiment(name, fields) for name, fields in known.items() if "modulus_type" in fields]
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


def _experiment(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A row; the classifier's weights are channels x size^2 x classes, or channels x classes with pooling."""
    names = ("n_blocks", "L", "modulus_type", "kernel_size", "lowpass_last", "mixing_horizon", "global_avg_pool")
    row = {"experiment": name, **{field: fields.get(field) for field in (*names, "train_size", "group")}}
    row["init"] = "random" if fields.get("random_init") is True else "wavelets"
    oriented = fields["n_blocks"] - (fields.get("lowpass_last") is True)
    channels = 3 * (1 + fields["L"]) ** oriented
    side, classes = fields.get("image_size"), fields.get("num_classes")
    row |= {"horizon_in_force": horizon_in_force(fields.get("block_summary")), "final_channels": int(channels)}
    if side and classes and not pd.isna(side) and not pd.isna(classes):
        size = int(side) >> int(fields["n_blocks"])
        row |= {"final_size": size, "classifier_no_gap": int(channels * size**2 * classes)}
        row["classifier_gap"] = int(channels * classes)
    return row
