"""The filters that runs have left: read as they were written, from anywhere, and never unpickled."""

import numpy as np
import pytest

from raysweep.ledger.filters import FiltersError, read_filters
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.run_folders import FILTERS

RUN = "C-s42-01234567"


@pytest.fixture
def store(tmp_path):
    found = open_ledger(tmp_path / "results").store
    (found.folder / "runs" / RUN).mkdir(parents=True)
    return found


def test_they_are_read_as_they_were_written(store):
    psi = np.arange(8, dtype=np.complex64).reshape(2, 2, 2)
    np.savez_compressed(store.folder / "runs" / RUN / FILTERS, block1_psi_before=psi)
    assert np.array_equal(read_filters(store, RUN)["block1_psi_before"], psi)


def test_a_run_of_an_older_folder_has_none(store, tmp_path):
    assert read_filters(store, RUN) is None
    assert read_filters(store, "another-s1-0") is None
    assert read_filters(open_ledger(tmp_path / "nowhere").store, RUN) is None
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_a_damaged_file_is_named(store, content):
    (store.folder / "runs" / RUN / FILTERS).write_bytes(content)
    with pytest.raises(FiltersError, match=f"runs/{RUN}/{FILTERS} is damaged"):
        read_filters(store, RUN)


def test_nothing_is_unpickled(store):
    np.savez(store.folder / "runs" / RUN / FILTERS, moved=np.array([print], dtype=object))
    with pytest.raises(FiltersError):
        read_filters(store, RUN)


def test_they_stay_with_the_runs_folder_and_go_with_it(store):
    runs = open_ledger(store.folder).runs
    for name in (FILTERS, "best.pt", "last.pt"):
        (store.folder / "runs" / RUN / name).write_bytes(b"content")
    runs.tidy(RUN, ("last.pt", "best.pt"), ("best.pt",))
    assert store.get(f"runs/{RUN}/{FILTERS}") == b"content"
    runs.remove(RUN)
    assert store.get(f"runs/{RUN}/{FILTERS}") is None
