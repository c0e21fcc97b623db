"""The table of flags: what each reads, its help, and that nothing but PlanError comes of wrong ones."""

import dataclasses

import pytest

from raysweep.messages import PlanError
from raysweep.planning.options import Options, help_text, parse_options

GIVEN = {
    "help": ("-h", True),
    "list": ("--list", True),
    "status": ("--status", True),
    "serve": ("--serve", True),
    "port": ("--serve --port 8765", 8765),
    "tidy": ("--tidy", True),
    "plan": ("--plan", True),
    "json": ("--plan --json", True),
    "calibrate": ("--plan --calibrate", True),
    "print_commands": ("--print-commands", True),
    "space": ("--space my_space.py", "my_space.py"),
    "group": ("--group a b --group c", ("a", "b", "c")),
    "only": ("--only A,C --only F,", ("A", "C", "F")),
    "grid": ("--grid L=4,8 n_blocks=3 --grid epochs=1", {"L": "4,8", "n_blocks": "3", "epochs": "1"}),
    "seeds": ("--seeds 0,1,5-7", (0, 1, 5, 6, 7)),
    "set": ("--set lr=a=b epochs=1", {"lr": "a=b", "epochs": "1"}),
    "target": ("--target 93.5", 93.5),
    "redo": ("--redo A --redo B,C", ("A", "B", "C")),
    "with_its_own_code": ("--redo A --with-its-own-code", True),
    "code": ("--code A-s42-407e5326 then", ("A-s42-407e5326", "then")),
    "accept_imported": ("--accept-imported", True),
    "dataset": ("--dataset cifar10", "cifar10"),
    "data_dir": ("--data-dir /d", "/d"),
    "results": ("--results s3://b/r", "s3://b/r"),
    "num_workers": ("--num-workers 8", 8),
    "slots": ("--slots 3", 3),
    "gpus_per_worker": ("--gpus-per-worker 0.5", 0.5),
    "address": ("--address auto", "auto"),
    "breadth_first": ("--breadth-first", True),
    "until_answered": ("--until-answered", True),
    "max_seeds": ("--until-answered --max-seeds 30", 30),
    "backfill": ("--backfill", True),
    "keep_last": ("--keep-last", True),
    "preempt": ("--preempt", True),
    "track": ("--track mlflow wandb=x", ("mlflow", "wandb=x")),
    "budget_hours": ("--budget-hours 96gpu", (96.0, True)),
}


@pytest.mark.parametrize("name", [option.name for option in dataclasses.fields(Options)])
def test_each_flag_sets_its_own_field_and_no_other(name):
    text, value = GIVEN[name]
    options = parse_options(text.split())
    beside = {"plan": True} if name in ("json", "calibrate") else {}
    beside |= {"serve": True} if name == "port" else {}
    beside |= {"redo": ("A",)} if name == "with_its_own_code" else {}
    beside |= {"until_answered": True} if name == "max_seeds" else {}
    assert options == dataclasses.replace(Options(), **{name: value, **beside})
    assert type(getattr(options, name)) is type(value)


def test_every_flag_stands_in_the_help_with_what_it_is_for():
    lines = " ".join(help_text("What it is.", "one of digits, cifar10").split())
    assert "What it is." in lines
    assert "--dataset NAME one of digits, cifar10 --data-dir" in lines
    for option in dataclasses.fields(Options):
        assert f" --{option.name.replace('_', '-')}" in lines
        if option.name != "dataset":
            assert option.metadata["argparse"]["help"] in lines.replace("- ", "-")


@pytest.mark.parametrize(
    "text",
    [
        "--nothing",
        "--seeds",
        "--seeds x",
        "--group",
        "word",
        "--set a",
        "--only ,",
        "--json",
        "--tidy --json",
        "--port 8000",
    ],
)
def test_what_is_wrong_raises_and_prints_nothing(capsys, text):
    with pytest.raises(PlanError) as error:
        parse_options(text.split())
    assert "\n" not in str(error.value)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("--max-seeds 5", "--max-seeds goes with --until-answered"),
        ("--until-answered --max-seeds 0", "'0' is not a whole number from 1 to 100000"),
        ("--until-answered --max-seeds many", "'many' is not a whole number"),
        ("--until-answered --max-seeds 1", "needs two seeds or more"),
        ("--until-answered --seeds 7", "needs two seeds or more"),
        ("--until-answered --print-commands", "chooses runs by results, so it has no commands to print"),
        ("--until-answered --redo A --with-its-own-code", "and not with --until-answered"),
    ],
)
def test_what_does_not_go_with_rounds_is_refused(text, why):
    with pytest.raises(PlanError, match=why):
        parse_options(text.split())


@pytest.mark.parametrize("name", ["results", "data_dir", "space", "dataset", "address", "group", "track", "only"])
@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_text_is_refused_as_it_would_name_the_current_folder(name, blank):
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(PlanError, match=f"^{flag} names nothing$"):
        parse_options([flag, blank])


@pytest.mark.parametrize("text", ["²", "٣", "1e3", "-1", "1.0", "+1", "1_0", "9" * 5000, "0-²", "1-", "5-3"])
@pytest.mark.parametrize("flag", ["--seeds", "--num-workers"])
def test_numbers_are_read_from_plain_digits_alone_and_within_bounds(flag, text):
    with pytest.raises(PlanError) as error:
        parse_options([flag, text])
    assert f"argument {flag}: " in str(error.value)
    assert text[:60] in str(error.value)
    assert "_of" not in str(error.value), "an internal name"
    assert len(str(error.value)) < 250


def test_many_parts_of_seeds_are_refused_before_they_fill_the_memory():
    with pytest.raises(PlanError, match="more than 100000"):
        parse_options(["--seeds", ",".join(["0-99999"] * 10_000)])


def test_minus_zero_gpus_are_none():
    assert str(parse_options(["--gpus-per-worker", "-0.0"]).gpus_per_worker) == "0.0"
