"""Pictures of filters, from runs that a small training leaves; what older or damaged folders show in their place."""

import shutil
from dataclasses import asdict

import numpy as np
import pytest

from analysis.plots import all_plots
from analysis.plots.filters import filter_plots, spectrum
from analysis.reading.results import Results
from tests.analysis.plots.drawn import boxes_of, overlapping
from tests.analysis.sweeps import frame, record
from tests.trainables.training import SMALL, results
from trainables.scattering import ScatteringConfig

RUN = "W_s20-s42-digits"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A results folder with a run of wavelets whose filters moved."""
    location = tmp_path_factory.mktemp("results")
    config = ScatteringConfig(**SMALL, lr_epochs=1, epochs=1, lr_extractor=0.01, save_dir=str(location / "runs" / RUN))
    found = results(config)["results"]
    fields = asdict(config)
    more = {name: value for name, value in found.items() if name not in fields}
    return location, record("W_s20", 42, config=fields, **more)


def read(trained, **more):
    location, row = trained
    return Results(frame=frame({**row, **more}), location=str(location))


def drawn(results_read):
    (setting,) = results_read.settings
    return list(filter_plots(results_read, setting, ""))


def test_block_1_is_shown_as_it_was_and_as_it_is(trained):
    (plot,) = drawn(read(trained))
    real, imaginary, _, movements, *deeper = plot.figure.axes
    with np.load(trained[0] / "runs" / RUN / "filters.npz") as left:
        own = np.arange(12) // 4
        for ax, part in ((real, np.real), (imaginary, np.imag)):
            canvas = np.asarray(ax.images[0].get_array().filled(np.nan))
            for row, when in enumerate(("before", "after")):
                for i in range(12):
                    tile = canvas[6 * row : 6 * row + 5, 6 * i : 6 * i + 5]
                    assert np.allclose(tile, part(left[f"block1_psi_{when}"][i, own[i]]))
        curves = {line.get_label(): line.get_ydata() for line in movements.lines}
        assert np.allclose(sorted(curves["block 2, 60 psi"]), sorted(left["block2_psi_moved"]))
    assert len(deeper) == 1
    assert "the 4 most moved filters" in deeper[0].get_title(loc="left")
    moved = trained[1]["results"]["filter_delta_relative"]
    said = plot.figure.get_suptitle().replace("\n", " ")
    assert f"moved by {moved:.3f} of their norm" in said
    assert f"{RUN} at 20 % of the images, one of 1 run" in said
    assert overlapping(boxes_of(plot.figure)) == []


def test_the_spectrum_of_a_wavelet_has_its_peak_at_its_frequency():
    wave = np.exp(1j * (2 * np.pi * 8 / 32) * np.arange(32))[None, :, None] * np.ones((1, 32, 32))
    assert np.unravel_index(spectrum(wave)[0].argmax(), (32, 32)) == (16 + 8, 16)


def test_a_damaged_file_is_named_in_a_line_and_nothing_else_is_lost(trained, tmp_path):
    _, row = trained
    (tmp_path / "runs" / RUN).mkdir(parents=True)
    (tmp_path / "runs" / RUN / "filters.npz").write_bytes(b"PK cut off")
    found = read((tmp_path, row))
    for _ in range(2):
        all_plots(found, [])
    (line,) = [line for line in found.notices if "filters" in line]
    assert f"runs/{RUN}/filters.npz is damaged" in line
    np.savez(tmp_path / "runs" / RUN / "filters.npz", moved=np.ones(2))
    found = read((tmp_path, row))
    assert drawn(found) == []
    assert len(found.notices) == 1


def test_folders_without_filters_and_imported_runs_have_no_pictures(trained, tmp_path):
    assert drawn(read((tmp_path, trained[1]))) == []
    assert drawn(read(trained, imported="results.json")) == []
    assert not any(tmp_path.iterdir())


def test_a_label_without_filters_beside_one_that_has_them_is_named(trained):
    location, row = trained
    older = record("X_s20", 42, config={**row["config"], "modulus_type": "phase_relu"}, final_acc=1.0)
    found = Results(frame=frame(row, older), location=str(location))
    (plot,) = drawn(found)
    (line,) = found.notices
    assert line.startswith("no filters are shown of 2b_prelu_L4: none of their first 5 runs has left")
    assert "cmod" in plot.title


def test_filters_too_large_to_be_kept_leave_their_movements_alone(trained, tmp_path):
    """As of a kernel of 47 pixels and more, of which the file holds no pictures."""
    location, row = trained
    shutil.copytree(location, tmp_path / "results")
    file = tmp_path / "results" / "runs" / RUN / "filters.npz"
    with np.load(file) as left:
        arrays = {name: left[name] for name in left.files}
    for i in (1, 2, 3):
        for part in ("shown", "moved_shown", "before", "after"):
            if (name := f"block{i}_psi_{part}") in arrays:
                arrays[name] = arrays[name][:0]
    np.savez(file, **arrays)
    (plot,) = drawn(Results(frame=frame(row), location=str(tmp_path / "results")))
    assert [ax.get_title(loc="left") for ax in plot.figure.axes] == ["How far each filter moved"]
