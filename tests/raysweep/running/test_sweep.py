"""Whole sweeps of the real trainable through the command line, on the embedded digits."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from raysweep import load_results
from search_spaces import cifar_scattering
from tests.conftest import ROOT, real_data, run_sweep
from tests.raysweep.sweeps import PAIR, background, numbers, process_of, wait_for
from tests.raysweep.tracking.reported import shown
from trainables.scattering import ScatteringConfig, ScatteringNet, train


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "results"
    return folder, run_sweep(*PAIR, "--results", folder)


@pytest.mark.ray
def test_a_sweep_runs_and_answers_its_question(sweep):
    folder, ran = sweep
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Data: the embedded digits" in ran.stdout
    frame = load_results(folder).set_index("experiment")
    assert set(frame.index) == {"3b_cmod_L4_s10", "3b_cmod_L4_rand_s10"}
    scat, rand = frame.loc["3b_cmod_L4_s10"], frame.loc["3b_cmod_L4_rand_s10"]
    assert scat["final_acc"] == scat["finetune_acc"]
    assert rand["final_acc"] == rand["joint_acc"]
    assert np.isnan(rand["head_acc"])
    assert "Do wavelets help 3b_cmod_L4 at 10 %" in ran.stdout
    difference = scat["final_acc"] - rand["final_acc"]
    assert f"final_acc: undecided (n = 1), {difference:+.2f}" in ran.stdout
    assert "post hoc" not in ran.stdout
    more = re.search(r"python run_sweep.py (.*)", ran.stdout)[1]
    assert more.startswith("--group cifar --only 3b_cmod_L4_rand_s10,3b_cmod_L4_s10 --seeds")
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "WARNING" not in ran.stdout + ran.stderr


@pytest.mark.ray
def test_a_sweep_leaves_tensorboard_the_curves_of_its_records(sweep):
    folder, _ = sweep
    for _, row in load_results(folder).iterrows():
        scalars = shown(folder / "tensorboard" / "digits" / row["run"])
        points = [point for phase in ("head", "finetune", "joint") for point in scalars.get(f"{phase}/val_acc", [])]
        recorded = [e["val_acc"] for name in ("phase_a", "phase_b", "joint") for e in row["curves"].get(name, ())]
        assert [step for step, _ in points] == list(range(1, len(recorded) + 1))
        assert [value for _, value in points] == pytest.approx(recorded, abs=1e-3)
        assert scalars["final/final_acc"] == [(len(recorded), pytest.approx(row["final_acc"], abs=1e-3))]


@pytest.mark.ray
def test_the_status_of_a_sweep_that_has_ended_is_shown(sweep):
    folder, _ = sweep
    status = run_sweep("--status", "--results", folder)
    assert status.returncode == 0, status.stderr
    assert "2 of 2 runs done" in status.stdout
    assert "ended at" in status.stdout


@pytest.mark.ray
def test_ray_gives_the_numbers_of_a_plain_process(sweep, tmp_path):
    folder, _ = sweep
    frame = load_results(folder).set_index("experiment")
    row = frame.loc["3b_cmod_L4_s10"]
    config = ScatteringConfig(
        n_blocks=3, L=4, kernel_size=5, train_size=0.3, lr_epochs=3, epochs=2, save_dir=str(tmp_path)
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what a Ray worker of one CPU has
    *_, last = train(config)
    torch.set_num_threads(threads)
    assert last["curves"] == row["curves"]


@pytest.mark.ray
def test_of_a_finished_run_the_best_checkpoint_is_kept(sweep):
    folder, _ = sweep
    runs = sorted((folder / "runs").iterdir())
    assert len(runs) == 2
    for run in runs:
        assert sorted(file.name for file in run.iterdir()) == ["best.pt", "filters.npz", "results.json"]
        assert ScatteringNet.load(run)(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
        assert ScatteringNet.load(run).config.n_blocks == 3


@pytest.mark.ray
def test_the_plan_and_the_questions_lie_beside_the_results(sweep):
    folder, _ = sweep
    plan = json.loads((folder / "plan.json").read_text())
    assert [entry["experiment"] for entry in plan] == ["3b_cmod_L4_s10", "3b_cmod_L4_rand_s10"]
    questions = json.loads((folder / "questions.json").read_text())
    assert [question["name"] for question in questions] == [q.name for q in cifar_scattering.FAMILY.questions]
    assert all(question["hash"] and question["written"] and question["seen"] == [] for question in questions)
    (declared,) = json.loads((folder / "families.json").read_text())
    assert (declared["name"], declared["trainables"]) == ("cifar_scattering", ["trainables.scattering"])
    assert {"head_acc", "finetune_gain", "seconds"} <= {metric["name"] for metric in declared["metrics"]}


@pytest.mark.ray
def test_the_same_command_again_trains_nothing_and_prints_the_same_table(sweep):
    folder, first = sweep
    records = {file: file.read_bytes() for file in (folder / "records").iterdir()}
    again = run_sweep(*PAIR, "--results", folder, timeout=60)
    assert again.returncode == 0
    assert "2 finished before, 0 to do" in again.stdout
    table = re.compile(r"digits, 1 worker.*", re.DOTALL)
    assert table.search(again.stdout)[0] == table.search(first.stdout)[0]
    assert records == {file: file.read_bytes() for file in (folder / "records").iterdir()}


@pytest.mark.ray
def test_redo_runs_one_again(sweep):
    folder, _ = sweep
    before = {f.name: f.stat().st_mtime_ns for f in (folder / "records").iterdir()}
    expected = numbers(folder)
    ran = run_sweep(*PAIR, "--results", folder, "--redo", "3b_cmod_L4_rand_s10")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 finished before, 1 to do" in ran.stdout
    after = {f.name: f.stat().st_mtime_ns for f in (folder / "records").iterdir()}
    assert [name for name in before if before[name] != after[name]] == [n for n in before if "rand" in n]
    assert numbers(folder) == expected


@pytest.mark.ray
def test_a_killed_driver_loses_nothing(sweep, tmp_path):
    """kill -9 after the head phase's second epoch; the same command then ends with the same results."""
    with background(*PAIR, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "3b_cmod_L4_s10 seed 42  head 2/3")
        process.kill()
    again = run_sweep(*PAIR, "--results", tmp_path / "results")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "goes on after" in again.stdout
    assert numbers(tmp_path / "results") == numbers(sweep[0])


@pytest.mark.ray
@pytest.mark.slow
def test_ctrl_c_stops_with_the_results_so_far(tmp_path):
    with background(*PAIR, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "head 1/3")
        process.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert process.wait(timeout=60) == 130
    assert "the same command goes on" in rest
    assert "Traceback" not in rest


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["RayTrainWorker", "SynchronizationActor", "ImplicitFunc"])
def test_a_killed_process_of_a_trial_loses_nothing(tmp_path, victim):
    """Two workers; one of them, the actor in which they meet or the trial's own process is killed in fine-tuning."""
    flags = ("--group", "cifar", "--only", "3b_cmod_L4_s100", "--seeds", "42", "--num-workers", "2")
    flags += ("--set", "lr_epochs=2", "epochs=4")
    whole = run_sweep(*flags, "--results", tmp_path / "whole")
    assert whole.returncode == 0, whole.stdout
    with background(*flags, "--results", tmp_path / "killed") as (process, lines):
        wait_for(lines, "finetune 1/4")
        os.kill(process_of(victim, {process.pid}), signal.SIGKILL)
        rest = "".join(lines)
        assert process.wait(timeout=300) == 0, rest
    assert "goes on after finetune" in rest
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")


OTHER_CLUSTER = """
import sys
from raysweep.planning import Resources
from raysweep.running import own_cluster
with own_cluster(Resources(cpus=1, gpus=0)):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_trial_is_replaced_beside_another_cluster_on_this_machine(tmp_path):
    flags = ("--group", "cifar", "--only", "3b_cmod_L4_s100", "--seeds", "42", "--num-workers", "2")
    flags += ("--set", "lr_epochs=2", "epochs=4", "--results", tmp_path / "results")
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_CLUSTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline() == b"up\n"
        with background(*flags) as (process, lines):
            wait_for(lines, "finetune 1/4")
            os.kill(process_of("ImplicitFunc", {process.pid}), signal.SIGKILL)
            rest = "".join(lines)
            assert process.wait(timeout=300) == 0, rest
        assert "goes on after finetune" in rest
        other.stdin.close()


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_goes_on_where_it_was_cut_off_and_brackets_its_target(tmp_path):
    flags = ("--group", "epochs-to-target", "--grid", "whiten=True", "tta=mirror", "--target", "88", "--seeds", "0")
    flags += ("--set", "freeze_epochs=1", "lookahead_epochs=1", "--results", tmp_path / "results")
    with background(*flags) as (process, lines):
        wait_for(lines, "@9 seed 0  starts")
        process.send_signal(signal.SIGINT)
        assert "< ~9.9" in "".join(lines)
        assert process.wait(timeout=60) == 130
    ran = run_sweep(*flags, timeout=900)
    assert ran.returncode == 0, ran.stdout
    assert "@9.9 seed 0  starts" not in ran.stdout
    frame = load_results(tmp_path / "results").sort_values("epochs")
    reaches, short = frame[frame["final_acc"] >= 88]["epochs"].min(), frame[frame["final_acc"] < 88]["epochs"].max()
    assert short < reaches <= max(1.05 * short, short + 0.11)
    row = next(line for line in ran.stdout.splitlines() if "whiten=True_tta=mirror" in line and "│" in line)
    head = next(line for line in ran.stdout.splitlines() if "┃ setting" in line)  # columns that are empty are left out
    cells = dict(zip((c.strip() for c in head.split("┃")), (c.strip() for c in row.split("│")), strict=True))
    assert (cells["epochs"], cells["short"]) == (f"~{reaches:g}", f"~{short:g}")
    again = run_sweep(*flags)
    assert "starts:" not in again.stdout
    assert row in again.stdout


@pytest.mark.ray
@pytest.mark.slow
def test_a_damaged_image_fails_its_run_by_name_and_can_be_mended(tmp_path):
    rng = np.random.RandomState(0)
    for split, n in (("train", 12), ("val", 4)):
        for label in ("cat", "dog"):
            home = tmp_path / "data" / split / label
            home.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(rng.randint(0, 256, (40, 40, 3), np.uint8)).save(home / f"{i}.JPEG")
    damaged = tmp_path / "data" / "train" / "dog" / "7.JPEG"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:300])
    flags = ("--group", "depth", "--only", "C", "--dataset", "imagefolder", "--data-dir", tmp_path / "data")
    flags += ("--set", "image_size=32", "global_batch_size=8", "lr_epochs=1", "epochs=1", "L=2")
    flags += ("--results", tmp_path / "results")
    ran = run_sweep(*flags)
    assert ran.returncode == 1
    assert f"{damaged} cannot be read as an image" in ran.stdout.replace("\n", "")
    assert "Traceback" not in ran.stdout + ran.stderr
    damaged.write_bytes(whole)
    again = run_sweep(*flags)
    assert again.returncode == 0, again.stdout
    assert list(load_results(tmp_path / "results")["status"]) == ["finished"]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.data
def test_the_authors_head_accuracy_on_cifar10(tmp_path):
    """Their five seeds: 62.0 to 62.7 after 20 epochs of the head on 10 % of CIFAR-10."""
    data = real_data("cifar10")
    started = time.monotonic()
    ran = run_sweep(
        *("--group", "cifar", "--only", "3b_cmod_L4_s10", "--seeds", "42", "--num-workers", "1"),
        *("--data-dir", data, "--set", "lr_epochs=20", "--set", "epochs=0", "--results", tmp_path / "results"),
        timeout=1200,
    )
    assert ran.returncode == 0, ran.stdout
    accuracy = load_results(tmp_path / "results")["head_acc"].item()
    print(f"head_acc {accuracy:.2f} in {time.monotonic() - started:.0f} s")
    assert 61.3 <= accuracy <= 63.3
