"""Every wrong input is one line on stderr and exit code 2, before anything starts."""

import json

import pytest

import run_sweep
from raysweep.ledger import run_key
from tests.conftest import ROOT, run
from trainables.airbench import AirbenchConfig


def refused(capsys, *args: str) -> str:
    """The one line with which run_sweep.py refuses `args`."""
    with pytest.raises(SystemExit) as exit:
        run_sweep.main([str(arg) for arg in args])
    assert exit.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err


NAMES = (
    ("--group dept", "unknown group 'dept'; did you mean 'depth'?"),
    ("--group depth --only Z", "unknown experiment 'Z'"),
    ("--group cifar --only 3b_cmd_L4_s10", "did you mean '3b_cmod_L4_s10'?"),
    ("--only 3b_cmod_L4_s7", "did you mean '3b_cmod_L4_s"),
    ("", "name a group"),
    ("--group depth cifar", "groups of different families in one sweep"),
    ("--group depth --redo Z", "unknown experiment 'Z'"),
    ("--group depth --only ,", "--only names nothing"),
)
FIELDS = (
    ("--group depth --set epoch=1", "unknown field 'epoch'; did you mean 'epochs'?"),
    ("--group depth --set epochs", "expected field=value"),
    ("--group depth --set epochs=many", "epochs=many: invalid literal for int"),
    ("--group depth --set seed=3", "seed is set by --seeds, not by --set"),
    ("--group depth --set kernel_size=4", "kernel_size=4 must be odd; the nearest are 3 or 5"),
    ("--group depth --set n_blocks=6", "n_blocks=6 is too many for images of 32 pixels"),
    ("--group depth --set global_batch_size=129 --num-workers 2", "129 is not divisible by 2 workers"),
    ("--group depth --set epochs=0 lr_epochs=0", "nothing to train"),
    ("--group depth --set train_size=inf", "train_size=inf must be"),
    ("--group depth --set epochs=1 epochs=2", "--set names epochs twice"),
    ("--group cifar --grid seed=1,2", "seed is set by --seeds, not by --grid"),
    ("--group cifar --grid L=4,4", "--grid L=4,4 repeats a value"),
    ("--group cifar --grid L=4,8 --set L=4", "L is set by both --grid and --set"),
    ("--group cifar --grid L=4 L=8", "--grid names L twice"),
    ("--group cifar --grid n_blocs=3", "unknown field 'n_blocs'; did you mean 'n_blocks'?"),
    ("--group cifar --grid n_blocks=three", "n_blocks=three: invalid literal for int"),
    ("--group cifar --grid kernel_size=4,6", "--grid leaves nothing to run: n_blocks=3"),
    ("--group depth --set batch_parts=0", "batch_parts=0 must be at least 1"),
    ("--group depth --set checkpoint_minutes=-1", "checkpoint_minutes=-1.0 must be at least 0"),
    ("--group cifar --grid n_blocks=8,9", "n_blocks=8 is too many for images of 32 pixels"),
    ("--group depth --plan --set n_blocks=9", "n_blocks=9 is too many for images of 32 pixels"),
)
BOUNDS = (
    ("--group depth --plan --set L=100000", "L=100000 must be at least 1, and at most 256"),
    ("--group depth --plan --set kernel_size=1000001", "kernel_size=1000001 must be at least 3, and at most 255"),
    (
        "--group depth --plan --set global_batch_size=99999999999999999999",
        "global_batch_size is too large a number; the most is 9223372036854775807",
    ),
    ("--group depth --plan --set global_batch_size=9999999999", "must be at least 1, and at most 2147483647"),
    ("--group depth --plan --set lr_epochs=1e23", "lr_epochs=1e23: expected a whole number or none"),
    ("--group depth --plan --set lr_epochs=10000000", "lr_epochs=10000000 must be at least 0, and at most 1000000"),
    (
        "--group depth --plan --set L=256 n_blocks=3 lowpass_last=false",
        "make 50,923,779 channels in block 3; the most is 16,777,216",
    ),
    (
        "--group depth --plan --set L=256 kernel_size=255 n_blocks=2 lowpass_last=false",
        "kernel_size=255 make a network of 2e+13 param",
    ),
    ("--group depth --plan --set global_batch_size=2147483647 L=32", "makes a worker hold"),
    ("--group airbench-cascade --plan --set epochs=1e308", "epochs=1e+308 must be above 0: at least 1e-09, and at"),
    ("--group airbench-cascade --plan --set lr=1e-320", "lr=1e-320 must be above 0: at least 1e-09"),
    ("--group airbench-cascade --plan --set batch_size=2000000", "batch_size=2000000 is more than the 1438 images"),
    ("--group cifar --plan --grid L=1,2,3,4,5,6,7,8 n_blocks=1,2,3 seed=1", "seed is set by --seeds"),
    ("--group cifar --plan --seeds 0-9999", "280000 runs are too many for one command, which can have 100000"),
    ("--group depth --plan --results file://", "the results folder 'file://' names nothing"),
    ("--group depth --plan --results ~nobody-by-this-name/x", "the results folder ~nobody-by-this-name/x cannot be"),
    ("--group depth --plan --space ~nobody-by-this-name/x.py", "--space ~nobody-by-this-name/x.py: "),
    ("--group depth --plan --dataset cifar10 --data-dir ~nobody-by-this-name/x", "cannot be read"),
)
DATA = (
    (
        "--group depth --dataset cifar",
        "imagenet_scattering takes no dataset 'cifar'; did you mean 'cifar10'? It takes digits, cifar10, ",
    ),
    (
        "--group airbench-cascade --dataset imagenet",
        "airbench takes no dataset 'imagenet'; it takes digits, cifar10, cifar100\n",
    ),
    ("--group depth --dataset cifar10", "dataset cifar10 needs a data folder"),
    ("--group depth --data-dir /nowhere/at/all", "data folder /nowhere/at/all does not exist"),
    ("--group depth --data-dir ~nobody-by-this-name/x", "cannot be read"),
    ("--group depth --num-workers 3 --data-dir /elsewhere --print-commands", "not divisible by 3 workers"),
    ("--group depth --plan --dataset imagefolder", "dataset imagefolder needs a data folder"),
)
NUMBERS = (
    ("--group depth --num-workers 0", "'0' is not a whole number of at least 1"),
    ("--group depth --seeds 1,x", "'1,x' is not a list of whole numbers"),
    ("--group depth --seeds 1,1", "repeated seed"),
    ("--group depth --gpus-per-worker many", "'many' is not a number of GPUs"),
    ("--group depth --seeds 4294967296", "too large"),
    ("--group depth --budget-hours soon", "'soon' is not a number of hours such as 12"),
    ("--group depth --budget-hours 0", "'0' is not a number of hours"),
    ("--group depth --budget-hours nangpu", "'nangpu' is not a number of hours"),
)
SEARCHES = (
    ("--group depth --target 90", "--target is for a group that searches"),
    ("--group epochs-to-target --set epochs=3", "epochs is what epochs-to-target searches"),
    ("--group epochs-to-target --grid epochs=3,4", "epochs is what epochs-to-target searches"),
    ("--group airbench-open epochs-to-target", "is a search; run them one by one"),
    ("--group epochs-to-target --only only_G", "did you mean 'only_"),
    ("--group epochs-to-target --target high", "'high' is not an accuracy in percent"),
    ("--group epochs-to-target --preempt", "--preempt goes with neither a search nor --redo"),
    ("--group epochs-to-target --print-commands", "is a search"),
)
FLAGS = (
    ("--grup depth", "unknown option --grup; did you mean '--group'?"),
    ("--group depth --backfil", "unknown option --backfil; did you mean '--backfill'?"),
    ("--group depth --track mlfow", "unknown service 'mlfow'; did you mean 'mlflow'?"),
    ("--group depth --track mlflow=http://nowhere", "--track mlflow needs the package mlflow"),
    ("--group depth --max-seeds 5", "--max-seeds goes with --until-answered"),
    ("--group all --only A,F --until-answered", "no question of imagenet_scattering compares what is run here"),
    ("--group cifar --until-answered --max-seeds 9999", "279972 runs are too many for one command"),
    ("--group depth --until-answered --print-commands", "it has no commands to print"),
    ("--group depth --json", "--json goes with --plan"),
    ("--group depth --calibrate", "--calibrate goes with --plan"),
    ("--status", "no sweep has left its status in"),
)


@pytest.mark.parametrize(("args", "message"), [*NAMES, *FIELDS, *BOUNDS, *DATA, *NUMBERS, *SEARCHES, *FLAGS])
def test_wrong_input_is_one_line(capsys, tmp_path, args, message):
    given = args.split()
    results = [] if "--results" in given else ["--results", tmp_path / "results"]
    assert message in refused(capsys, *given, *results)
    assert not (tmp_path / "results" / "records").exists()
    assert not (tmp_path / "results" / "runs").exists()


def test_a_grid_of_too_many_points_is_refused_before_it_is_made(capsys):
    numbers = ",".join(map(str, range(1, 200)))
    line = refused(capsys, "--group", "cifar", "--plan", "--grid", *(f"{n}={numbers}" for n in ("L", "epochs", "seed")))
    assert "--grid has 7880599 points, which are too many for one command; the most is 100000" in line


def test_minus_zero_is_the_same_run_as_zero(capsys, tmp_path):
    """Also where it is declared in Python, and not given on the command line."""
    names = []
    for value in ("0.0", "-0.0", "0"):
        args = ("--group", "depth", "--only", "C", "--plan", "--json", "--set", f"val_split={value}", "l2_penalty=-0.0")
        assert run_sweep.main([*args, "--results", str(tmp_path)]) == 0
        names += [row["run"] for row in json.loads(capsys.readouterr().out)]
    assert len(set(names)) == 1
    minus, plain = (AirbenchConfig(weight_decay=value) for value in (-0.0, 0.0))
    rest = {"num_workers": 1, "data": "d", "numerics": 1}
    assert run_key("t", minus, **rest) == run_key("t", plain, **rest)


@pytest.mark.parametrize("command", ["--plan", "--print-commands"])
def test_nothing_is_downloaded_before_a_sweep_runs(capsys, tmp_path, monkeypatch, command):
    """A folder without CIFAR counts as one on another machine."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr("trainables.data.cifar._download", lambda *_: pytest.fail("a download"))
    args = ("--group", "cifar", "--only", "3b_cmod_L4_s100", "--data-dir", str(tmp_path / "data"), command)
    assert run_sweep.main([*args, "--results", str(tmp_path / "results")]) == 0
    if command == "--plan":
        said = f"Data: cifar10 as it was published (its files are not in {tmp_path / 'data'})"
        assert said in capsys.readouterr().out
    assert not any((tmp_path / "data").iterdir())


def test_a_plan_that_measures_downloads_nothing_and_says_what_it_cannot_measure(tmp_path):
    (tmp_path / "data").mkdir()
    args = ("--group", "cifar", "--only", "3b_cmod_L4_s100", "--seeds", "1", "--data-dir", tmp_path / "data", "--plan")
    done = run("run_sweep.py", *args, "--calibrate", "--results", tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert f"not calibrated: 3b_cmod_L4_s100: the files of cifar10 are not in {tmp_path / 'data'}" in done.stderr
    assert not any((tmp_path / "data").iterdir())


def test_workers_for_which_there_is_no_room_are_not_measured(capsys, tmp_path):
    args = ("--group", "depth", "--only", "C", "--num-workers", "512", "--set", "global_batch_size=1024")
    assert run_sweep.main([*args, "--plan", "--calibrate", "--results", str(tmp_path)]) == 0
    assert "not calibrated: C: 512 workers have no room on this machine" in capsys.readouterr().err


def test_the_plan_of_rounds_shows_the_first_one_and_what_the_questions_take(capsys, tmp_path):
    space = ("--space", str(ROOT / "tests" / "noisy_space.py"), "--group", "noisy", "--results", str(tmp_path))
    assert run_sweep.main([*space, "--plan", "--until-answered"]) == 0
    said = capsys.readouterr().out
    assert "4 runs, 0 done, 4 to do" in said
    assert "undecided: is_better (open, n = 0): not known before two pairs tell how much they vary" in said
    assert run_sweep.main([*space, "--plan", "--until-answered", "--json"]) == 0
    assert [row["experiment"] for row in json.loads(capsys.readouterr().out)] == ["base", "better", "equal", "costly"]
    assert run_sweep.main([*space, "--plan", "--budget-hours", "40gpu"]) == 0
    assert "--budget-hours 40gpu pays for all runs of 0 of 3 questions" in capsys.readouterr().out
    assert not any(tmp_path.iterdir())


def test_results_at_an_unknown_kind_of_url(capsys):
    line = refused(capsys, "--group", "depth", "--results", "nowhere://bucket/results")
    assert line == "error: --results nowhere://bucket/results: Protocol not known: nowhere\n"


def test_more_workers_than_the_machine_has(capsys, tmp_path):
    args = ("--group", "depth", "--num-workers", "512", "--set", "global_batch_size=1024", "--results", str(tmp_path))
    assert "needs 512" in refused(capsys, *args)


def test_an_empty_data_folder(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    for dataset in ("imagenet", "imagefolder"):
        line = refused(capsys, "--group", "depth", "--dataset", dataset, "--data-dir", str(tmp_path / "empty"))
        assert line == f"error: data folder {tmp_path / 'empty'} is empty\n"


def test_a_results_folder_that_cannot_be(capsys, tmp_path):
    (tmp_path / "file").touch()
    line = refused(capsys, "--group", "depth", "--results", str(tmp_path / "file" / "results"))
    assert "cannot write to the results folder" in line


@pytest.mark.parametrize("more", ["--plan", "--print-commands", "--plan --until-answered"])
def test_an_unknown_name_to_redo_is_refused_by_plans_as_well(capsys, tmp_path, more):
    args = ["--group", "cifar", *more.split(), "--results", str(tmp_path / "results"), "--redo"]
    line = refused(capsys, *args, "3b_cmod_L4_s06")
    assert line == "error: unknown experiment '3b_cmod_L4_s06' here; did you mean '3b_cmod_L4_s50'?\n"


def test_the_list_names_every_group_and_experiment():
    listed = run("run_sweep.py", "--list", timeout=30)
    assert listed.returncode == 0
    for name in ("depth", "orientations", "modulus", "data-efficiency", "all", "cifar", "3b_cmod_L4_rand_s100"):
        assert name in listed.stdout


def test_commands_are_printed_for_a_machine_that_has_the_data(capsys):
    assert (
        run_sweep.main(["--group", "depth", "--only", "A,B,C", "--data-dir", "/datasets/ImageNet", "--print-commands"])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines[::2] if line[:3] in ("# C", "# A", "# B")]
    why = ("C: 4 blocks, the baseline: every other question needs it", "A: 5 blocks", "B: 5 blocks, horizon 27")
    assert said == [f"# {name} (priority {n})" for name, n in zip(why, (0, 1, 4), strict=True)]
    start = "torchrun --nproc_per_node=8 -m trainables.scattering --dataset imagenet"
    assert all(line.startswith(start) for line in lines[1::2])


def test_the_plan_of_imagenet_needs_neither_its_files_nor_its_memory(tmp_path):
    """Channels, sizes and classifier weights of the experiments' document, in the order of execution."""
    planned = run("run_sweep.py", "--group", "all", "--plan", "--json", "--dataset", "imagenet", "--results", tmp_path)
    assert planned.returncode == 0, planned.stderr
    rows = {row["experiment"]: row for row in json.loads(planned.stdout)}
    assert [name for name in rows if name in "ABCDEFGHI"] == ["C", "A", "F", "E", "H", "I", "B", "D", "G"]
    assert [(rows[name]["final_channels"], rows[name]["final_size"]) for name in "ACDE"] == [
        *((1875, 7), (375, 14), (19683, 7), (2187, 14)),
    ]
    norm_and_bias = 2 * 19683 + 1000
    assert rows["D"]["n_params_classifier"] - norm_and_bias == 19683 * 49 * 1000
    assert all(isinstance(rows[name][field], int) for name in rows for field in ("flops_train", "memory_bytes"))
    assert not any(tmp_path.iterdir())


def test_help_names_the_documented_flags():
    helped = run("run_sweep.py", "--help", timeout=30)
    for flag in (
        *("--list", "--group", "--only", "--dataset", "--data-dir", "--results", "--grid", "--seeds", "--num-workers"),
        *("--gpus-per-worker", "--set", "--address", "--redo", "--backfill", "--preempt", "--budget-hours"),
        *("--plan", "--json", "--calibrate", "--print-commands", "--status", "--track", "--tidy", "--keep-last"),
    ):
        assert flag in helped.stdout
