"""The commands that would settle a question: more seeds of its arms, or runs that differ in the factor alone."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis.comparison.contrast import NO_SEED
from analysis.numbers import is_missing
from analysis.reading.records import declared_dataset
from analysis.verdicts.uncorrected import UncorrectedTest


def isolating_command(test: UncorrectedTest) -> str:
    """The command for runs that differ in the factor alone: those that the question names, or the arm with the
    baseline's other values."""
    rows, seeds = test.contrast.rows or {}, list(test.contrast.seeds)
    if named := test.question.isolated_by:
        return sweep_command(pd.concat(rows.values()), seeds, location=test.setting.location, selection=named)
    base, arm = rows.get(test.contrast.baseline), rows.get(test.contrast.arm)
    if base is None or arm is None or not isinstance(test.question.baseline, str):
        return ""
    changes = {}
    for name in test.confounding.other_fields:
        value = base[name].iloc[0] if name in base else None
        changes[name] = "none" if is_missing(value) else f"{value:g}" if isinstance(value, float) else str(value)
    return sweep_command(arm, seeds, location=test.setting.location, changes=changes) if changes else ""


def more_seeds_command(test: UncorrectedTest, seeds: Sequence[int]) -> str:
    """The command that runs more seeds of the arms."""
    rows = pd.concat((test.contrast.rows or {}).values())
    return sweep_command(rows, seeds, location=test.setting.location)


def sweep_command(
    rows: pd.DataFrame,
    seeds: Sequence[int],
    *,
    location: str,
    selection: str = "",
    changes: Mapping[str, str] | None = None,
) -> str:
    """The command that runs the experiments of rows, or a selection, with these seeds on their data into the results
    folder `location`; "" for runs of the authors' own code."""
    if "trainable" not in rows or ("imported" in rows and rows["imported"].notna().any()):
        return ""
    first = rows.iloc[-1]
    fields = dict(field.split("=", 1) for field in str(first.get("set") or "").split(", ") if "=" in field)
    fields |= changes or {}
    parts = ["python run_sweep.py", selection or _named(rows)]
    if seeds and NO_SEED not in seeds:
        parts.append(f"--seeds {_spoken_range(seeds)}")
    if isinstance(folder := first.get("data_dir"), str):  # else the data are embedded, or come with the family
        parts += ["--dataset", declared_dataset(first), "--data-dir", shlex.quote(folder)]
    workers = first.get("num_workers", 1)
    if workers != 1 and not pd.isna(workers):
        parts.append(f"--num-workers {workers:g}")
    if fields:
        parts.append("--set " + " ".join(shlex.quote(f"{name}={value}") for name, value in fields.items()))
    if Path(location) != Path("results").absolute():  # where a sweep goes unless told otherwise
        parts.append(f"--results {shlex.quote(location)}")
    return " ".join(parts)


def _spoken_range(seeds: Sequence[int]) -> str:
    """`3,4`, or of more in a row `3-9`."""
    in_a_row = list(seeds) == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2
    return f"{seeds[0]}-{seeds[-1]}" if in_a_row else ",".join(map(str, seeds))


def _named(rows: pd.DataFrame) -> str:
    """The arguments that name the experiments of runs."""
    names = list(dict.fromkeys(rows["experiment"]))
    selections = Counter(text for text in rows.get("selection", ()) if isinstance(text, str) and text)
    selection = f"{selections.most_common(1)[0][0]} " if selections else ""
    return f"{selection}--only {shlex.quote(','.join(names))}"
