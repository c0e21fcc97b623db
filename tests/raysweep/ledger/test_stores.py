"""What holds of each store, seen through two openings of the same results."""

import json

import pytest

from raysweep.ledger.documents import read_document, write_document
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.store import HeldError, LedgerError, this_process


@pytest.fixture(params=["folder", "object store"])
def openings(request, tmp_path):
    """Two ledgers of one store."""
    location = tmp_path / "results" if request.param == "folder" else request.getfixturevalue("url")
    return [open_ledger(location, tmp_path / name) for name in ("one", "other")]


@pytest.fixture
def stores(openings):
    return [ledger.store for ledger in openings]


def test_what_is_put_is_read_elsewhere_and_what_is_withdrawn_is_gone(stores):
    one, other = stores
    assert other.get("pages/a.html") is None
    one.put("pages/a.html", b"old")
    one.put("pages/a.html", b"new")
    one.put("pages/deep/b.html", b"b")
    assert (other.get("pages/a.html"), other.get("pages/deep/b.html")) == (b"new", b"b")
    other.withdraw("pages/a.html")
    other.withdraw("pages/a.html")
    assert (one.get("pages/a.html"), one.get("pages/deep/b.html")) == (None, b"b")
    one.withdraw("pages/")
    one.withdraw("pages/")
    assert other.get("pages/deep/b.html") is None


def test_files_are_shared_and_fetched_by_name_and_by_folder(stores):
    one, other = stores
    file = one.folder / "tensorboard" / "digits" / "events"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"first")
    one.share("tensorboard/digits/events")
    other.fetch("tensorboard/")
    there = other.folder / "tensorboard" / "digits" / "events"
    assert there.read_bytes() == b"first"
    one.put("tensorboard/digits/events", b"second")
    other.fetch("tensorboard/digits/events")
    assert there.read_bytes() == b"second"
    one.withdraw("tensorboard/")
    assert not file.exists()
    other.fetch("tensorboard/")
    assert not there.exists()


def test_the_size_of_a_file_is_known_without_its_content(stores):
    one, other = stores
    one.put("runs/a/last.pt", b"content")
    assert (other.size("runs/a/last.pt"), other.size("runs/a/best.pt")) == (7, None)


PAIR = ("last.pt", "best.pt")


def at_work(ledger, **files):
    """What a worker leaves in the store as the checkpoint of a run."""
    with ledger.runs.at_work("C-s42-0", 0, checkpoint=PAIR, first_here=True, meet=lambda: None):
        folder = ledger.runs.folder("C-s42-0")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / f"{name}.pt").write_bytes(content)


def checkpoint_on(ledger) -> dict[str, bytes]:
    """The checkpoint of a run as a machine finds it."""
    with ledger.runs.at_work("C-s42-0", 0, checkpoint=PAIR, first_here=True, meet=lambda: None):
        return {file.name: file.read_bytes() for file in ledger.runs.folder("C-s42-0").glob("*.pt")}


def test_of_a_finished_run_only_what_is_kept_stays(openings):
    one, other = openings
    at_work(one, last=b"with optimiser", best=b"weights")
    assert other.runs.tidy("C-s42-0", PAIR, ("best.pt",), remove=False) == len(b"with optimiser")
    assert checkpoint_on(other) == {"last.pt": b"with optimiser", "best.pt": b"weights"}
    assert one.runs.tidy("C-s42-0", PAIR, ("best.pt",)) == len(b"with optimiser")
    assert [file.name for file in one.runs.folder("C-s42-0").glob("*.pt")] == ["best.pt"]
    assert checkpoint_on(other) == {"best.pt": b"weights"}
    assert one.runs.tidy("C-s42-0", PAIR, ("best.pt",)) == 0
    if one.store.is_remote:
        listed = json.loads(other.store.get("runs/C-s42-0/checkpoint.json"))
        there = [name.rpartition("/")[2] for name in one.store._listed("runs/C-s42-0/")]
        assert sorted(there) == sorted([*listed.values(), "checkpoint.json"])
        assert list(listed) == ["best.pt"]


def test_nothing_is_removed_where_what_is_to_be_kept_is_not_there(openings):
    one, other = openings
    at_work(one, last=b"all there is")
    assert one.runs.tidy("C-s42-0", PAIR, ("best.pt",)) == 0
    assert one.runs.tidy("C-s42-1", PAIR, ("best.pt",)) == 0
    assert checkpoint_on(other) == {"last.pt": b"all there is"}


def test_a_file_moves_with_its_content(stores):
    one, other = stores
    one.put("records/a.json", b"content")
    other.fetch("records/")
    other.move("records/a.json", "damaged/a.json")
    assert (one.get("records/a.json"), one.get("damaged/a.json")) == (None, b"content")
    one.fetch("records/")
    assert not list((one.folder / "records").glob("*"))


def test_appended_lines_are_counted_whoever_appends(stores):
    one, other = stores
    assert [one.append("attempts/a", "x"), other.append("attempts/a", "y"), one.append("attempts/b", "z")] == [1, 2, 1]
    with other.appended("attempts/a") as lines:
        assert lines == 2
    with one.appended("attempts/none") as lines:
        assert lines == 0


def test_one_holds_it_and_the_other_knows_who(stores):
    one, other = stores
    assert other.holder() is None
    with one.locked():
        assert other.holder() == this_process()
        with pytest.raises(HeldError, match=f"is in use by {this_process()}"), other.locked():
            pass
    assert other.holder() is None
    with other.locked():
        pass


def test_documents_are_read_back_and_damage_is_named(stores):
    one, other = stores
    with pytest.raises(FileNotFoundError):
        read_document(one, "plan.json")
    write_document(one, "plan.json", [{"run": "a"}])
    assert read_document(other, "plan.json") == [{"run": "a"}]
    one.put("plan.json", b"[{")
    with pytest.raises(LedgerError, match=f"^{one.location}/plan.json is damaged; restore a copy of it"):
        read_document(other, "plan.json")


def test_a_run_is_asked_to_stop_and_let_go_on(openings):
    one, other = openings
    assert not one.runs.is_asked_to_stop("C-s42-0")
    one.runs.ask_to_stop("C-s42-0")
    assert other.runs.is_asked_to_stop("C-s42-0")
    assert (one.runs.folder("C-s42-0") / "stop").exists(), "a worker on this machine sees it at once"
    other.runs.let_go_on("C-s42-0")
    assert not one.runs.is_asked_to_stop("C-s42-0")
