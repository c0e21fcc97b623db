"""Result files of the original: twelve that lie in tests/data, and the authors' archives beside the project."""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.reading.importing import import_results
from analysis.reading.results import Results
from raysweep.ledger.opening import open_ledger
from search_spaces import cifar_scattering
from tests.analysis.sweeps import all_written
from tests.conftest import DATA, REAL_DATA

SAMPLE: dict[str, Any] = json.loads((DATA / "original_results.json").read_text())
"""By the path of its file: 3 blocks, complex modulus, L = 4; wavelets and random; 10 and 20 %; seeds 42 to 44. Their
curves are cut to four epochs for each phase."""

ARCHIVES = REAL_DATA.parent / "reference_results"


def write_files(contents: Mapping[str, Any], folder: Path) -> Path:
    """Leave each as a JSON file below a folder."""
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def archive(name: str, folder: Path) -> Path:
    """The authors' archive, unpacked; skips the test where it does not exist."""
    file = ARCHIVES / f"{name}.tar.gz"
    if not file.exists():
        pytest.skip(f"the authors' result files not found: {file} (set RAYSWEEP_REAL_DATA to the folder beside it)")
    with tarfile.open(file) as tar:
        tar.extractall(folder, filter="data")
    return folder / name


def results_of_sample(folder: Path) -> Results:
    """The authors' runs of the sample, taken in below a folder, with our family's questions."""
    import_results(open_ledger(folder / "results"), [write_files(SAMPLE, folder / "files")])
    read = Results.read(folder / "results")
    return Results(frame=read.frame, questions=all_written(cifar_scattering.FAMILY), location="results")
