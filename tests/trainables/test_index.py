import hashlib
import json
import os

import pytest

from trainables.data import index
from trainables.data.cache import index_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two classes, one with a folder below it, settled long ago; the cache is empty."""
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/deep/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return settle(root)


def settle(root):
    for directory in (root, *(path for path in root.rglob("*") if path.is_dir())):
        past = directory.stat().st_mtime_ns - 10**11
        os.utime(directory, ns=(past, past))
    return root


def files(folder):
    return [os.path.join(relative, name) for relative, _, names, _ in index.listing(folder) for name in names]


def test_a_folder_is_listed_once(folder, monkeypatch):
    first = index.listing(folder)
    assert files(folder) == ["a/1.png", "a/2.png", "b/1.png", "b/deep/1.png"]
    monkeypatch.setattr(index, "_scan", lambda root: pytest.fail("listed again"))
    assert index.listing(folder) == first


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: (root / "b" / "deep" / "2.png").touch(), {"b/deep/2.png"}),
        (lambda root: (root / "a" / "1.png").unlink(), {"a/1.png"}),
        (lambda root: (root / "a" / "1.png").rename(root / "a" / "3.png"), {"a/1.png", "a/3.png"}),
        (lambda root: (root / "b" / "deep").rename(root / "c"), {"b/deep/1.png", "c/1.png"}),
    ],
    ids=["added", "removed", "renamed", "moved folder"],
)
def test_a_changed_folder_is_listed_again(folder, change, expected):
    before = set(files(folder))
    change(folder)
    assert before ^ set(files(folder)) == expected
    settle(folder)
    assert before ^ set(files(folder)) == expected


def test_a_folder_that_has_just_changed_is_not_stored(folder):
    (folder / "a" / "3.png").touch()
    index.listing(folder)
    assert not list(index_folder().glob("*"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0\n[]", b'{"a": 1}'])
def test_a_damaged_index_is_made_again(folder, content):
    before = files(folder)
    (store,) = index_folder().glob("index-*")
    store.write_bytes(content)
    assert files(folder) == before
    assert store.read_bytes() != content


def test_a_cache_that_cannot_be_written_is_no_error(folder, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_CACHE", str(folder / "a" / "1.png" / "no folder"))
    assert len(files(folder)) == 4


def test_names_that_are_not_text_survive(folder):
    os.close(os.open(os.fsencode(folder / "a") + b"/\xff\n.png", os.O_CREAT))
    settle(folder)
    assert files(folder) == files(folder)
    assert len(files(folder)) == 5


def test_what_begins_with_a_dot_is_left_out_and_counted(folder):
    for name in (".ipynb_checkpoints/1.png", "a/._1.png", "a/.DS_Store", "b/deep/__MACOSX/1.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    settle(folder)
    for _ in ("listed", "stored"):
        assert files(folder) == ["a/1.png", "a/2.png", "b/1.png", "b/deep/1.png"]
        assert {relative: count for relative, _, _, count in index.listing(folder)} == {
            "": 1,
            "a": 2,
            "b": 0,
            "b/deep": 1,
        }


def test_an_index_of_an_earlier_version_is_not_believed(folder):
    expected = index.listing(folder)
    (store,) = index_folder().glob("index-*")
    earlier = json.dumps([[relative, mtime, [*names, "._0.png"]] for relative, mtime, names, _ in expected]).encode()
    store.write_bytes(hashlib.sha256(earlier).hexdigest().encode() + b"\n" + earlier)
    assert index.listing(folder) == expected


def test_links_that_go_round_in_a_circle_end_the_listing_by_name(folder):
    for name in ("a", "b"):
        (folder / name / "round").symlink_to(folder)
    with pytest.raises(OSError, match="a link to a folder that holds it") as error:
        index.listing(folder)
    assert error.value.filename.endswith("round")
