"""What a sweep says of its data before it starts: what was found, or in one line why it cannot be used."""

import os
import subprocess
import sys

import pytest

import run_sweep
from search_spaces import image_data
from tests.conftest import ROOT
from tests.trainables import odd_data

CIFAR = ("--group", "cifar", "--only", "3b_cmod_L4_s10", "--dataset", "cifar10")


@pytest.mark.parametrize("name", ["shard_missing", "labels_hidden", "labels_null", "list_images", "empty_test"])
def test_data_that_cannot_be_trained_on_end_a_sweep_in_a_line(tmp_path, capsys, name):
    folder, results = odd_data.REFUSED[name][0](tmp_path / "data"), tmp_path / "results"
    for more in ([], ["--plan"], ["--print-commands"]):
        with pytest.raises(SystemExit) as exit:
            run_sweep.main([*CIFAR, "--data-dir", str(folder), "--results", str(results), *more])
        assert exit.value.code == 2
        printed = capsys.readouterr()
        assert printed.err.startswith(f"error: {folder}/")
        assert printed.err.count("\n") == 1
        assert not results.exists()


def test_the_line_about_the_data_says_images_classes_and_splits(tmp_path):
    cifar = odd_data.SOUND["converted"](tmp_path / "cifar")
    assert image_data.locate("cifar10", str(cifar)) == (
        f"cifar10 in {cifar}; images: 60 in train, 20 in test; 10 classes"
    )
    folders = odd_data.FOLDERS["apple_double"][0](tmp_path / "folders")
    assert image_data.locate("imagefolder", str(folders)) == (
        f"imagefolder in {folders}; images: 40 in train, 16 in val; 2 classes; entries left out (they begin with a "
        "dot, or are __MACOSX): 4"
    )
    unsplit = odd_data.image_folders(tmp_path / "unsplit", splits=("",))
    assert image_data.locate("imagefolder", str(unsplit)) == (
        f"imagefolder in {unsplit}; images: 40 in all, of which a part is held out for validation; 2 classes"
    )
    assert image_data.locate("digits", None).endswith("; images: 1,438 in train, 359 in test; 10 classes")
    with image_data.elsewhere():
        assert image_data.locate("imagenet", None) == (
            "imagenet as it was published (its files are not here); images: 1,281,167 in train, 50,000 in test; "
            "1,000 classes"
        )


def test_a_data_folder_whose_name_is_no_text_is_printed_as_it_is(tmp_path):
    folder = os.fsencode(odd_data.image_folders(tmp_path / "data").rename(tmp_path / os.fsdecode(b"caf\xe9")))
    args = [
        "--group",
        "depth",
        "--only",
        "C",
        "--dataset",
        "imagefolder",
        "--set",
        "global_batch_size=16",
        "--data-dir",
    ]
    ran = subprocess.run(
        [sys.executable, "run_sweep.py", *args, folder, "--print-commands"], cwd=ROOT, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert b"--data-dir '" + folder + b"'" in ran.stdout


def test_a_sweep_on_a_folder_whose_name_is_no_text_asks_for_a_link(tmp_path, capsys):
    folder = odd_data.image_folders(tmp_path / "data").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    args = ["--group", "depth", "--only", "C", "--dataset", "imagefolder", "--data-dir", str(folder)]
    with pytest.raises(SystemExit) as exit:
        run_sweep.main([*args, "--results", str(tmp_path / "results")])
    assert exit.value.code == 2
    said = "is no UTF-8, which Ray needs in a command; name a link to it instead"
    assert capsys.readouterr().err == f"error: {tmp_path}/caf\\xe9 {said}\n"
    assert not (tmp_path / "results").exists()
