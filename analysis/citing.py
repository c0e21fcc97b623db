"""What `--cite` prints: a paragraph for the methods of a paper, from the records alone, and a BibTeX entry."""

import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

import pandas as pd

from analysis.numbers import count
from analysis.reading.results import Results
from analysis.statistics import ALPHA
from analysis.tables.latex_text import latex_of
from analysis.verdicts.answers import verdicts
from analysis.verdicts.verdict import Verdict

WIDTH = 100
MOST = 8
"""A sentence names at most so many values."""
SOFTWARE = {"python_version": "Python", "torch_version": "PyTorch", "ray_version": "Ray", "numpy_version": "NumPy"}

TESTED = {
    "difference": "differences of two arms",
    "equivalence": "equivalences",
    "trend": "slopes over a field, one for each seed",
    "interaction": "interactions, one for each seed",
    "time": "ratios of times and speeds, on the logarithm",
    "target": "means against a target",
    "pooled": "means over the cells of a grid",
}


def citation(results: Results) -> str:
    """The paragraph and the entry, the same for the same records, questions and versions."""
    name, number, description = software()
    revisions = list(_values(results.finished, "revision"))
    return f"{methods(results, verdicts(results))}\n\n{bibtex(name, number, description, revisions)}"


def methods(results: Results, answers: Sequence[Verdict]) -> str:
    """What was run with what, and how it was tested."""
    sentences = [*_runs(results), *_made_with(results), *_tests(answers), *_read_with()]
    return textwrap.fill(" ".join(sentences), WIDTH, break_long_words=False, break_on_hyphens=False)


def bibtex(name: str, number: str, description: str, revisions: Iterable[str]) -> str:
    """An entry of the software, which has no author, year and address as the project states none."""
    said = ", ".join(revisions)
    fields = {
        "title": f"{{{latex_of(name)}}}: {latex_of(description)}" if description else f"{{{latex_of(name)}}}",
        "version": latex_of(number),
        "note": f"code revision {latex_of(said)}" if said else "",
    }
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items() if value]
    return "\n".join([f"@software{{{name},", *lines, "}"])


def software() -> tuple[str, str, str]:
    """The name, version and description of this project: those of the checkout, or of what is installed."""
    file = Path(__file__).parents[1] / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "raysweep":
            return "raysweep", str(project.get("version", "")), str(project.get("description", ""))
    try:
        about = metadata("raysweep")
    except PackageNotFoundError:
        return "raysweep", "", ""
    return "raysweep", about["Version"], about["Summary"] or ""


def _runs(results: Results) -> Iterator[str]:
    """How many runs of what, on which data, with which seeds and settings, and what is missing."""
    done = results.finished
    seeds = sorted(int(seed) for seed in done["seed"].dropna().unique())
    data = ", ".join(_datasets(done)) or "no data"
    seeded = f" with {count(len(seeds), 'seed')} ({_ranges(seeds)})" if seeds else ""
    yield f"The results are those of {count(len(done), 'run')} of {count(done['experiment'].nunique(), 'experiment')}"
    yield f"on {data}{seeded}."
    settings = {str(text): n for text, n in _counted(done, "set").items()}
    if any(settings):
        runs = {text: f" ({count(n, 'run')})" * (len(settings) > 1) for text, n in settings.items()}
        parts = [f"{text or 'nothing'}{of}" for text, of in runs.items()]
        yield f"Set beyond the declared configurations: {'; '.join(parts)}."
    if "imported" in done and (imported := int(done["imported"].notna().sum())):
        yield f"{count(imported, 'run')} of them {_were(imported)} taken from result files of the original code."
    ended = Counter(results.frame["status"]) - Counter({"finished": len(done)})
    lost = [f"{n} {status}" for status, n in sorted(ended.items())]
    if lost:
        yield f"Of further runs {' and '.join(lost)}."
    if results.excluded is not None:
        n = len(results.excluded)
        yield f"{count(n, 'run')} {_were(n)} left out by hand, for noted reasons."


def _made_with(results: Results) -> Iterator[str]:
    """The code, versions and machines that computed the numbers, as far as the records say."""
    done = results.finished
    revisions = _named(_counted(done, "revision"))
    parts = [f"raysweep{f', code revision {revisions}' if revisions else ''}"]
    parts += [f"{name} {said}" for column, name in SOFTWARE.items() if (said := _named(_counted(done, column)))]
    devices, machines = _named(_counted(done, "device_name")), list(_values(done, "hostname"))
    where = f" on {devices}" if devices else ""
    where += f" of {count(len(machines), 'machine')}" if machines else ""
    if len(parts) > 1 or revisions or where:
        yield f"They were computed with {'; '.join(parts)}{where}."
    if "revision" in done and done["revision"].astype(str).str.endswith("+").any():
        yield "A + marks code that was changed after the revision; the results folder holds a copy of it."
    unknown = int(
        (done["torch_version"].isna() if "torch_version" in done else pd.Series(True, index=done.index)).sum()
    )
    if unknown:
        yield f"Of {count(unknown, 'run')} the versions are not recorded."


def _tests(answers: Sequence[Verdict]) -> Iterator[str]:
    """The tests that were made, of which questions, and how they were corrected."""
    tested = [v for v in answers if v.p is not None]
    if not tested:
        return
    kinds = [TESTED[kind] for kind in TESTED if any(v.kind == kind for v in tested)]
    families = {v.family: v.tests for v in tested}
    sizes = ", ".join(f"{name} {count(n, 'test')}" for name, n in sorted(families.items()))
    yield f"Tested were {', '.join(kinds)}, paired by seed where there are two arms, by a test that holds at any look:"
    yield "the p-value is the reciprocal of an e-process of t statistics, the effects drawn from a mixture of normal"
    yield "distributions (Lai 1976; Wang and Ramdas 2024), guarded against skewed noise."
    yield f"P-values were corrected by Holm's method within each family ({sizes}) at the level {ALPHA:g}."
    yield "95 % intervals hold at any look likewise."
    if any(v.kind == "pooled" for v in tested):
        yield "Pooled effects also had to pass the random-effects t-test of Hartung and Knapp."
    if any(v.over_images and v.over_images.interval for v in tested):
        yield "Intervals over seeds and test images are those of a crossed two-way analysis of variance."
    post_hoc = sum(any(flag.startswith("post hoc") for flag in v.flags) for v in tested)
    if post_hoc:
        yield f"{post_hoc} of {count(len(tested), 'answer')} {_were(post_hoc)} to questions that came after results."


def _read_with() -> Iterator[str]:
    number = software()[1]
    yield f"The analysis was made with raysweep{f' {number}' if number else ''}, SciPy {version('scipy')} and pandas"
    yield f"{version('pandas')}."


def _datasets(done: pd.DataFrame) -> Iterator[str]:
    """`cifar10 (files 1a2b3c4d)`; the files' fingerprint is in the records."""
    for dataset, rows in done.groupby("dataset", sort=True):
        prints = [text[:8] for text in _values(rows, "data")]
        yield f"{dataset}{f' (files {_listed(prints)})' if prints else ''}"


def _counted(rows: pd.DataFrame, column: str) -> dict[str, int]:
    """How often each value is there, in the order of the values."""
    if column not in rows:
        return {}
    return dict(sorted(Counter(rows[column].dropna().astype(str)).items()))


def _values(rows: pd.DataFrame, column: str) -> Iterator[str]:
    yield from (value for value in _counted(rows, column) if value)


def _named(counted: dict[str, int]) -> str:
    """The value, or of several each with the number of its runs."""
    if len(counted) < 2:
        return next(iter(counted), "")
    return _listed([f"{value} ({count(n, 'run')})" for value, n in counted.items()])


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - MOST} others" if len(values) > MOST else ""
    return f"{', '.join(values[:MOST])}{more}"


def _ranges(numbers: Sequence[int]) -> str:
    """`42 to 46, 50`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return _listed([f"{p[0]} to {p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts])


def _were(n: int) -> str:
    return "was" if n == 1 else "were"
