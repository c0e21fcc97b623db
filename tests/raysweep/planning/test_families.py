"""A family of one's own: what of its file is refused, in one line with file and line number, and what it needs not."""

import sys

import pytest

import run_sweep
from raysweep import modules
from raysweep.planning.families import datasets_of, listed
from raysweep.planning.options import Options
from search_spaces import families
from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "breast_cancer.py"
TEXT = """
from dataclasses import dataclass, field

from raysweep import Experiment, Family, Group, Metric, Question


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 1
    seed: int = 0
    save_dir: str = field(default="runs", metadata={"cosmetic": True})


def check(config, num_workers):
    if config.width > 8:
        raise ValueError(f"width={config.width} is too wide")
    return {"data": "none", "numerics": 1}


def train(config):
    yield {"event": "result", "results": {}}


SMALL = Experiment(name="small", config=Config(), trainable=__name__)
FAMILY = Family(
    name="own",
    dataset="numbers",
    experiments=(SMALL,),
    groups=(Group(name="own-group", experiments=("small",)),),
    questions=(Question(name="asked", text="?", arms=("small",), metrics=("final_acc",), kind="target", target=90.0),),
    metrics=(Metric(name="final_acc", unit="%"),),
)
"""


@pytest.fixture
def space(tmp_path, monkeypatch):
    """Writes the file of a family, which is forgotten after the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(modules, "_imported", {})
    monkeypatch.setattr(modules, "_beside", [])

    def write(text, name="own_space.py"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    yield write
    sys.modules.pop("own_space", None)
    sys.modules.pop(EXAMPLE.stem, None)


def refused(capsys, *args):
    with pytest.raises(SystemExit) as exit:
        run_sweep.main(list(args))
    assert exit.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    return printed.removeprefix("error: ").removesuffix("\n")


def line_of(text, part):
    """The number of the line in which something stands."""
    return 1 + text[: text.index(part)].count("\n")


FAMILY = line_of(TEXT, "FAMILY =")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("FAMILY = Family", "FAMILIES = Family", TEXT.count("\n"), "the file ends without a FAMILY"),
        ("FAMILY = Family", "FAMILY = dict", FAMILY, "FAMILY is a dict, no Family of raysweep.experiment"),
        ("(SMALL,)", "()", FAMILY, "own has no experiments"),
        ("    seed: int = 0\n", "", FAMILY - 1, "the configuration of small has no field seed"),
        ("    save_dir", "    folder", FAMILY, "the configuration of small has no field save_dir"),
        ("config=Config()", "config={}", FAMILY, "the configuration of small is no object of a dataclass"),
        ('dataset="numbers"', 'dataset="a", datasets=("a", "b")', FAMILY, "small has no field dataset"),
        ('dataset="numbers"', 'dataset="a", locate=print', FAMILY, "small has no field data_dir"),
        ('("small",)),)', '("smal",)),)', FAMILY, "'smal' in group 'own-group' of own; did you mean 'small'?"),
        ('arms=("small",)', 'arms=("smal",)', FAMILY, "'smal' in question 'asked' of own; did you mean 'small'?"),
        ('("small",)),)', '("small",), search="ask"),)', FAMILY, "unknown question 'ask' in group 'own-group' of own"),
        ('("final_acc",)', '("final_ac",)', FAMILY, "unknown metric 'final_ac' in question 'asked' of own; did you"),
    ],
)
def test_a_family_that_cannot_be_used_is_refused_with_its_line(capsys, space, old, new, line, message):
    assert old in TEXT
    file = space(TEXT.replace(old, new, 1))
    said = refused(capsys, "--space", file, "--list")
    assert said.startswith(f"{file}:{line}: ")
    assert message in said


def test_a_file_that_is_not_there_or_raises_is_refused(capsys, space, tmp_path):
    missing = str(tmp_path / "own_space.py")
    for args in (["--list"], ["--group", "own-group"], ["--help"]):
        assert refused(capsys, "--space", missing, *args) == f"--space {missing}: there is no such file"
    file = space("\nraise OSError('the disk')")
    assert refused(capsys, "--space", file, "--group", "own-group") == f"{file}:2: OSError: the disk"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--group depth", "unknown group 'depth'; known are own-group"),
        ("--group own-group --dataset digits", "own takes no dataset 'digits'; it takes numbers"),
        ("--group own-group --data-dir /data", "own takes no --data-dir: its data are no files"),
        ("--group own-group --set width=9", "small: width=9 is too wide"),
        ("--group own-group --set widht=9", "unknown field 'widht'; did you mean 'width'?"),
        ("--group own-group --grid width=9,10", "--grid leaves nothing to run: width=9: width=9 is too wide"),
    ],
)
def test_wrong_input_for_a_family_of_ones_own_is_one_line(capsys, space, tmp_path, args, message):
    assert refused(capsys, "--space", space(TEXT), *args.split(), "--results", str(tmp_path / "results")) == message
    assert not (tmp_path / "results").exists()


def test_the_family_of_a_file_is_listed_alone(capsys, space):
    assert run_sweep.main(["--space", space(TEXT), "--list"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "own (for numbers)"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_list_fits_the_terminal_and_loses_no_word(width):
    lines = list(listed(families(), width=width))
    assert max(map(len, lines)) <= width
    words = " ".join(" ".join(lines).split())
    for family in families():
        for experiment in family.experiments:
            assert f" {experiment.name} " in f"{words} "
            assert experiment.why in words
        for group in family.groups:
            assert f"--group {group.name} " in words
            assert group.why in words


def test_the_list_and_the_help_fit_80_columns_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError))
    for args in (["--list"], ["--help"], ["--list", "--group", "airbench-open"]):
        assert run_sweep.main(args) == 0
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert run_sweep.main(["--help"]) == 0
    examples = capsys.readouterr().out
    assert "--group all" in examples
    assert "--grid n_blocks=2,3 L=4,8" in examples


def test_a_named_group_is_listed_alone(capsys):
    assert run_sweep.main(["--list", "--group", "depth"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines() if line.split()[0].isdigit()] == ["C", "A", "B"]
    assert "airbench" not in printed
    assert refused(capsys, "--list", "--group", "dept") == "unknown group 'dept'; did you mean 'depth'?"


def test_the_help_says_which_data_the_chosen_family_takes(space):
    of_all = datasets_of(Options(), families())
    assert of_all.endswith("; of airbench: digits, cifar10, cifar100")
    assert datasets_of(Options(group=("airbench-cascade",)), families()) == "one of digits, cifar10, cifar100"


def test_the_example_is_planned_and_printed_as_commands(capsys, space, tmp_path):
    args = ["--space", str(EXAMPLE), "--group", "cancer", "--results", str(tmp_path / "results")]
    assert run_sweep.main([*args, "--plan"]) == 0
    planned = capsys.readouterr().out
    assert "Data: breast_cancer" in planned
    assert "30 runs, 0 done, 30 to do" in planned
    assert run_sweep.main([*args, "--print-commands", "--only", "hidden", "--seeds", "0,1"]) == 0
    comment, first, second = capsys.readouterr().out.splitlines()
    assert comment == "# hidden, seeds 0-1: a hidden layer (priority 1)"
    assert first.startswith(
        f"torchrun --nproc_per_node=1 {EXAMPLE} --hidden 16 --save-dir breast_cancer_runs/hidden-s0-"
    )
    assert " --hidden 16 --seed 1 --save-dir " in second


def test_without_a_grid_of_its_own_a_family_varies_its_first_experiment(capsys, space, tmp_path):
    args = ["--space", str(EXAMPLE), "--group", "cancer", "--grid", "hidden=-1,8", "lr=0.02", "--print-commands"]
    assert run_sweep.main([*args, "--seeds", "3", "--results", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    comment, command = printed.out.splitlines()
    assert comment == "# hidden=8_lr=0.02: hidden=8 lr=0.02 (priority 0)"
    assert f"{EXAMPLE} --hidden 8 --lr 0.02 --seed 3 --save-dir " in command
    assert printed.err == "left out: hidden=-1_lr=0.02: hidden=-1 must be at least 0\n"
