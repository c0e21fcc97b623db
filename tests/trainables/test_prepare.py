"""Copies of folders of images, the large ones resized: what is in them, how they go on, and what they are called."""

import io
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, JpegImagePlugin

from search_spaces import image_data
from tests.conftest import real_data, run
from trainables.data import copying, info, prepare
from trainables.data.catalog import DataError, locate
from trainables.data.decoding import decode, evaluation_crop, read_file
from trainables.data.loading import load

COMMAND = "python -m trainables.data.prepare"
ALL = {"train_size": 1.0, "val_split": 0.0, "seed": 42}
SIZES = {
    "wide.JPEG": (90, 60, "JPEG"),
    "high.jpg": (50, 70, "JPEG"),
    "odd.JPG": (101, 67, "JPEG"),
    "large.png": (64, 80, "PNG"),
    "small.png": (80, 40, "PNG"),
    "exact.jpeg": (40, 90, "JPEG"),
    "png.JPEG": (64, 64, "PNG"),
}
"""Width, height and format of images, some of which have more than 40 pixels on their shorter side."""
RESIZED = {
    "wide.JPEG": (60, 40),
    "high.jpg": (40, 56),
    "odd.JPG": (60, 40),
    "large.png": (40, 50),
    "png.JPEG": (40, 40),
}


def drawn(width, height, kind="JPEG", number=0):
    """A smooth picture as a file."""
    noise = np.random.RandomState(number).randint(0, 256, (5, 4, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(stream, kind, quality=90)
    return stream.getvalue()


def folders(root, splits=("train", "val"), sizes=SIZES):
    """Two classes with images of all kinds, and entries that are no data."""
    for split in splits:
        for number, label in enumerate(("cat", "dog")):
            home = root / split / label
            home.mkdir(parents=True)
            for name, (width, height, kind) in sizes.items():
                (home / name).write_bytes(drawn(width, height, kind, number))
            (home / "notes.txt").write_text("no image")
            (home / "._0.jpg").write_bytes(b"\0")
    return root


def prepared(*args):
    """Run the command in this process; returns its exit code, 0 where it ends by itself."""
    for cached in (info.image_files, info._fingerprint):
        cached.cache_clear()  # as in a new process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["prepare", *map(str, args)])
        try:
            prepare.main()
        except SystemExit as exit:
            return exit.code
    return 0


def files(root):
    """The content of all files below a folder, by path."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def refusal(capsys, *args):
    """The one line that says why the command does nothing."""
    capsys.readouterr()
    assert prepared(*args) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("error: ").rstrip()


def test_large_images_are_resized_and_the_others_are_the_same_files(tmp_path):
    source, target = folders(tmp_path / "source"), tmp_path / "target"
    assert prepared(source, target, "--short-side", 40, "--quality", 90) == 0
    copies = files(target)
    names = [name.replace("large.png", "large.jpg") for name in SIZES]
    expected = [f"{split}/{label}/{name}" for split in ("train", "val") for label in ("cat", "dog") for name in names]
    assert sorted(copies) == sorted(["prepared-by-raysweep.json", *expected])
    for split, label in (("train", "cat"), ("val", "dog")):
        for name in SIZES:
            original = (source / split / label / name).read_bytes()
            copy = copies[f"{split}/{label}/{name.replace('large.png', 'large.jpg')}"]
            if name not in RESIZED:
                assert copy == original
                continue
            with Image.open(io.BytesIO(copy)) as image:
                assert (image.format, image.size, image.mode) == ("JPEG", RESIZED[name], "RGB")
                assert JpegImagePlugin.get_sampling(image) == 0  # colours at full resolution
                pixels = np.asarray(image, int)
            with Image.open(io.BytesIO(original)) as image:
                wanted = image.convert("RGB").resize(RESIZED[name], Image.Resampling.BILINEAR)
            assert np.abs(pixels - np.asarray(wanted)).mean() < 2.5


def test_orientation_is_ignored_as_in_training(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    stream = io.BytesIO()
    Image.open(io.BytesIO(drawn(90, 60))).save(stream, "JPEG", exif=exif)
    made = copying.shrunk(stream.getvalue(), 40, 95, name="rotated")
    assert decode(made, name="copy").size == (60, 40)
    assert not Image.open(io.BytesIO(made)).getexif()


@pytest.mark.parametrize("splits", [("train", "val"), ("train", "validation"), ("",)])
def test_labels_classes_and_numbers_of_images_stay(tmp_path, splits):
    source, target = folders(tmp_path / "source", splits), tmp_path / "target"
    before = locate("imagefolder", str(source)).fingerprint()
    assert prepared(source, target, "--short-side", 40) == 0
    original, copy = (locate("imagefolder", str(folder)) for folder in (source, target))
    assert (copy.classes, copy.n_train, copy.n_test, copy.layout, copy.left_out) == (
        *(original.classes, original.n_train, original.n_test, original.layout, 0),
    )
    for ours, theirs in zip(load(copy, **ALL), load(original, **ALL), strict=True):
        assert ours.labels.tolist() == theirs.labels.tolist()
    assert original.fingerprint() == before
    assert original.prepared is None


def test_a_copy_is_another_data_set_that_says_so(tmp_path):
    source = folders(tmp_path / "source")
    settings = {"a": (40, 95), "b": (40, 90), "c": (50, 95)}
    for name, (side, quality) in settings.items():
        assert prepared(source, tmp_path / name, "--short-side", side, "--quality", quality) == 0
    found = [locate("imagenet", str(tmp_path / name)) for name in ("source", *settings)]
    assert len({one.fingerprint() for one in found}) == 4
    assert "prepared" not in found[0].described()
    assert [one.described()["prepared"] for one in found[1:]] == [
        *("short side 40, quality 95", "short side 40, quality 90", "short side 50, quality 95")
    ]
    said = image_data.locate("imagenet", str(tmp_path / "a"))
    assert said.endswith("14 in val; 2 classes; resized beforehand: shorter side 40, quality 95")
    shutil.move(tmp_path / "a", tmp_path / "moved")
    assert locate("imagenet", str(tmp_path / "moved")).fingerprint() == found[1].fingerprint()


@pytest.mark.parametrize("nothing_to_resize", [40, 4000])
def test_a_copy_of_the_same_names_has_another_fingerprint(tmp_path, nothing_to_resize):
    sizes = {name: size for name, size in SIZES.items() if name != "large.png"}
    source, target = folders(tmp_path / "source", sizes=sizes), tmp_path / "target"
    assert prepared(source, target, "--short-side", nothing_to_resize) == 0
    assert locate("imagenet", str(source)).fingerprint() != locate("imagenet", str(target)).fingerprint()


def test_splits_and_classes_of_a_copy_are_still_called_prepared(tmp_path):
    copy = tmp_path / "copy"
    assert prepared(folders(tmp_path / "source"), copy, "--short-side", 40) == 0
    (tmp_path / "link").symlink_to(copy)
    linked, classes = tmp_path / "linked", tmp_path / "classes"
    for folder, parts in ((linked, ("train", "val")), (classes, ("cat", "dog"))):
        folder.mkdir()
        for part in parts:
            (folder / part).symlink_to(copy / part if folder == linked else copy / "train" / part)
    (tmp_path / "some" / "train").mkdir(parents=True)
    shutil.copytree(copy / "val", tmp_path / "some" / "val")
    for label in ("cat", "dog"):
        (tmp_path / "some" / "train" / label).symlink_to(copy / "train" / label)
    for folder in (tmp_path / "link", copy / "train", linked, classes, tmp_path / "some"):
        assert str(locate("imagefolder", str(folder)).prepared) == "short side 40, quality 95", folder


KILLED = """
import os, pathlib, signal, sys
from trainables.data import prepare

replace, left = pathlib.Path.replace, iter(range(30))

def replace_or_die(path, target):
    if next(left, None) is None:  # its content is written, its name is not there
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)

pathlib.Path.replace = replace_or_die
prepare.main()
"""


def test_a_killed_copy_goes_on_to_the_same_bytes(tmp_path):
    sizes = {f"{i}.JPEG": (60 + i, 50, "JPEG") for i in range(20)}
    source, target, undisturbed = (tmp_path / name for name in ("source", "target", "undisturbed"))
    folders(source, sizes=sizes)
    assert prepared(source, undisturbed, "--short-side", 40) == 0
    arguments = [source, target, "--short-side", "40", "--workers", "2"]
    assert run("-c", KILLED, *arguments).returncode == -signal.SIGKILL
    times = {path: path.stat().st_mtime_ns for path in target.rglob("*.JPEG")}
    assert 25 <= len(times) < 30
    assert list(target.rglob(".*.part"))
    with pytest.raises(DataError) as error:
        locate("imagenet", str(target))
    assert str(error.value) == (
        f"{target} is a copy that `{COMMAND}` has not finished ({len(times)} of 80 images): run it again"
    )
    assert prepared(*arguments) == 0
    assert files(target) == files(undisturbed)
    assert all(path.stat().st_mtime_ns == before for path, before in times.items())


def test_an_empty_file_that_a_failed_machine_left_is_made_again(tmp_path):
    source, target = folders(tmp_path / "source"), tmp_path / "target"
    assert prepared(source, target, "--short-side", 40) == 0
    before = files(target)
    (target / "train" / "cat" / "wide.JPEG").write_bytes(b"")
    assert prepared(source, target, "--short-side", 40) == 0
    assert files(target) == before


def test_the_last_line_tells_images_bytes_and_seconds(tmp_path, capsys):
    source, target = folders(tmp_path / "source"), tmp_path / "target"
    for there in ("", " (28 of them were there)"):
        assert prepared(source, target, "--short-side", 40) == 0
        line = capsys.readouterr().out
        assert line.startswith(f"{target}: 28 images{there}, 0.0")
        assert line.endswith(" s\n")
        assert line.count("\n") == 1


def test_a_terminal_shows_rate_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr(prepare.time, "monotonic", lambda: next(clock))
    parts = [copying.Copied(images=50), copying.Copied(images=50, there=50)]
    assert prepare._followed(parts, 1000).images == 100
    lines = [line.rstrip() for line in capsys.readouterr().out.split("\r")]
    assert lines[1:3] == ["50 of 1,000 images, 5 images/s, 3 min left", "100 of 1,000 images, 2 images/s, 6 min left"]
    assert lines[3:] == ["", ""]


def test_images_that_cannot_be_read_are_named_and_the_others_copied(tmp_path, capsys):
    source, target = folders(tmp_path / "source"), tmp_path / "target"
    bad = [source / "train" / "cat" / "small.png", source / "val" / "dog" / "wide.JPEG"]
    whole = [file.read_bytes() for file in bad]
    bad[0].write_bytes(whole[0][:60])
    bad[1].write_bytes(b"no image")
    assert prepared(source, target, "--short-side", 40) == 1
    printed = capsys.readouterr()
    assert "26 images" in printed.out
    lines = printed.err.splitlines()
    assert [line.split(" cannot")[0] for line in lines[:2]] == [f"error: {file}" for file in bad]
    assert lines[2:] == [
        "error: 2 of 28 images cannot be copied: put readable files in their places, and run the same command again"
    ]
    with pytest.raises(DataError, match="26 of 28 images"):
        locate("imagenet", str(target))
    for file, content in zip(bad, whole, strict=True):
        file.write_bytes(content)
    assert prepared(source, target, "--short-side", 40) == 0
    assert locate("imagenet", str(target)).n_train == 14


def test_names_that_would_become_one_are_refused(tmp_path, capsys):
    source, target = folders(tmp_path / "source"), tmp_path / "target"
    home = source / "train" / "cat"
    (home / "wide.jpg").write_bytes(drawn(30, 30))
    (home / "wide.png").write_bytes(drawn(30, 40, "PNG"))  # not resized: it keeps its name
    assert prepared(source, target, "--short-side", 40) == 0
    assert (target / "train" / "cat" / "wide.png").read_bytes() == (home / "wide.png").read_bytes()
    assert (target / "train" / "cat" / "wide.jpg").read_bytes() == (home / "wide.jpg").read_bytes()
    (home / "large.bmp").write_bytes(drawn(50, 50, "BMP"))
    line = refusal(capsys, source, tmp_path / "other", "--short-side", 40)
    assert line == f"{home}/large.bmp and {home}/large.png would both become train/cat/large.jpg: rename one of them"
    assert not (tmp_path / "other").exists()


def test_what_does_not_fit_is_refused_in_a_line(tmp_path, capsys):
    source, target = folders(tmp_path / "source"), tmp_path / "target"
    assert prepared(source, target, "--short-side", 40) == 0
    before = files(target)
    assert refusal(capsys, source, target) == (
        f"{target} was begun with --short-side 40, not 400: give 40, or name another folder"
    )
    assert refusal(capsys, source, target, "--short-side", 40, "--quality", 94) == (
        f"{target} was begun with --quality 95, not 94: give 95, or name another folder"
    )
    other = folders(tmp_path / "more", sizes={**SIZES, "one.jpg": (50, 50, "JPEG")})
    assert refusal(capsys, other, target, "--short-side", 40) == (
        f"{target} is a copy of other images than those of {other}: name another folder"
    )
    assert refusal(capsys, source, other) == (
        f"{other} holds train, which is not of a prepared copy: name a new or empty folder"
    )
    assert refusal(capsys, target, tmp_path / "twice") == (
        f"{target} is a prepared copy itself (short side 40, quality 95): name the folder of its source"
    )
    for wrong in (source, source / "train" / "new", tmp_path):
        assert "must not lie in each other: name a folder beside them" in refusal(capsys, source, wrong)
    (tmp_path / "file").write_bytes(b"")
    assert refusal(capsys, source, tmp_path / "file") == f"{tmp_path / 'file'} is not a folder"
    assert files(target) == before


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((), "missing: SOURCE, TARGET"),
        (("a",), "missing: TARGET"),
        (("a", "b", "--short-side", "0"), "--short-side 0: at least 1"),
        (("a", "b", "--quality", "101"), "--quality 101: at most 100"),
        (("a", "b", "--workers", "0"), "--workers 0: at least 1"),
        (("a", "b", "--short", "9"), "unknown option --short; did you mean '--short-side'?"),
        (("a", "b", "c"), "unknown option c; known are --short-side, --quality, --workers"),
        (("/gone", "b"), "data folder /gone does not exist"),
        (("", "b"), "SOURCE names nothing"),
    ],
)
def test_wrong_options_are_named(capsys, args, line):
    assert refusal(capsys, *args) == line


def test_two_processes_do_not_fill_one_folder(tmp_path, capsys):
    source, target = folders(tmp_path / "source"), tmp_path / "target"
    with prepare._alone(target):
        line = refusal(capsys, source, target)
    assert line == f"another process fills {target}: wait for it, or name another folder"
    assert prepared(source, target) == 0


@pytest.mark.parametrize("content", ["", "[]", '{"short_side": 4}', "\xff"])
def test_a_damaged_mark_is_named(tmp_path, content):
    root = folders(tmp_path)
    (root / "prepared-by-raysweep.json").write_text(content, encoding="latin1")
    with pytest.raises(DataError, match=r"prepared-by-raysweep.json is damaged; prepare another copy"):
        locate("imagenet", str(root))


def test_a_copy_of_a_newer_version_is_refused(tmp_path):
    target = tmp_path / "target"
    assert prepared(folders(tmp_path / "source"), target) == 0
    mark = target / "prepared-by-raysweep.json"
    mark.write_text(mark.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DataError, match=r"is of a newer version of raysweep \(format 2; this one reads 1\)"):
        locate("imagenet", str(target))


def test_a_disk_that_is_full_ends_it_in_a_line(tmp_path, capsys, monkeypatch):
    source, target = folders(tmp_path / "source"), tmp_path / "target"

    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert prepared(source, target) == 1
    line = capsys.readouterr().err
    assert line.endswith(".part: No space left on device; once that is mended, the same command goes on\n")
    monkeypatch.undo()
    assert prepared(source, target) == 0
    assert not list(target.rglob(".*"))


def test_names_that_are_no_text_are_copied(tmp_path):
    source = os.fsencode(folders(tmp_path / "source"))
    os.rename(source + b"/train/cat/wide.JPEG", source + b"/train/cat/caf\xe9\n.JPEG")
    target = os.fsdecode(os.fsencode(tmp_path) + b"/c\xf6py")
    printed = run("-m", "trainables.data.prepare", os.fsdecode(source), target, "--short-side", "40")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout.startswith(f"{tmp_path}/c\\xf6py: 28 images")
    assert os.path.exists(os.fsencode(target) + b"/train/cat/caf\xe9\n.JPEG")


@pytest.mark.data
def test_evaluation_crops_of_real_images_differ_little(tmp_path):
    rows = pq.ParquetFile(real_data("imagenet_sample") / "sample.parquet").read_row_group(0).to_pylist()[:100]
    for i, row in enumerate(rows):
        home = tmp_path / "source" / "train" / f"n{i % 2}"
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{i}.JPEG").write_bytes(row["image"]["bytes"])
    assert prepared(tmp_path / "source" / "train", tmp_path / "copy", "--short-side", 320) == 0
    sets = [locate("imagefolder", str(folder)) for folder in (tmp_path / "source" / "train", tmp_path / "copy")]
    paths = [load(found, train_size=1.0, val_split=0.01, seed=0)[0].paths for found in sets]
    apart = []
    for one, other in zip(*paths, strict=True):
        crops = [evaluation_crop(read_file(path), 224, name=path).astype(int) for path in (one, other)]
        apart.append(np.abs(crops[0] - crops[1]).mean())
    assert min(apart) == 0  # small images are the same files
    assert 1 < np.mean(apart) < 3
    assert max(apart) < 13
