"""How many runs of what there are, what is missing, and what computed and read the numbers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version

import pandas as pd

from analysis.citing import software
from analysis.numbers import count
from analysis.reading.results import Results, searched
from analysis.verdicts.verdict import OPEN, Verdict


def overview(results: Results) -> str:
    """How many runs of what ended how."""
    status = Counter(results.frame["status"])
    runs = ", ".join(f"{n:,} {name}" for name, n in status.items())
    datasets = ", ".join(results.frame["dataset"].unique())
    return (
        f"{len(results.frame):,} runs ({runs}) of {results.frame['experiment'].nunique():,} experiments on {datasets}."
    )


def missing(results: Results, answers: Sequence[Verdict]) -> list[str]:
    """Runs of the plan without a result, runs that did not finish, and questions that are open."""
    done = {*results.frame["run"], *(() if results.excluded is None else results.excluded["run"])}
    absent = Counter(entry["experiment"] for entry in results.plan if entry["run"] not in done)
    lines = [f"{name}: {count(n, 'planned run')} without a result" for name, n in absent.items()]
    lines += [line for setting in results.settings for line in _ended(setting.ended)]
    opened = dict.fromkeys(f"{v.text} {v.reason}" for v in answers if v.answer == OPEN)
    return [*lines, *opened]


def provenance(results: Results) -> Iterator[tuple[str, str]]:
    """What computed the numbers, and what read them."""
    spoken = {
        "revision": "code",
        "code": "copies of the code",
        "hostname": "machines",
        "device_name": "devices",
        "python_version": "Python",
        "torch_version": "torch",
        "ray_version": "Ray",
        "numpy_version": "NumPy",
        "data": "data",
    }
    for column, name in spoken.items():
        if column in results.frame:
            values = results.frame[column].dropna().astype(str).value_counts()
            if len(values):
                named = ", ".join(f"{value} ({n})" for value, n in values.head(6).items())
                yield name, named + ", ..." * (len(values) > 6)
    if "imported" in results.frame and (imported := int(results.frame["imported"].notna().sum())):
        yield "imported", f"{imported} runs of the authors' own code"
    if "finished" in results.frame:
        times = results.frame["finished"].dropna().astype(str)
        if len(times):
            yield "finished", f"{times.min()} to {times.max()}"
    hashes = [asked.hash for asked in results.questions]
    if hashes:
        yield "questions", f"{len(hashes)} written down: {', '.join(hashes[:4])}{', ...' * (len(hashes) > 4)}"
    yield "analysis", f"raysweep {software()[1]}, scipy {version('scipy')}, pandas {pd.__version__}"


def _ended(ended: pd.DataFrame) -> Iterator[str]:
    """A line for each run that failed or diverged."""
    for _, run in ended[~searched(ended)].iterrows() if len(ended) else ():
        yield f"{run['experiment']} seed {run['seed']} {run['status']}: {run['error']}"
