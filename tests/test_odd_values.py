"""Odd values of every field and flag, drawn with fixed seeds, through `--plan`: none ends in a traceback or hangs."""

import contextlib
import dataclasses
import io
import random
import signal
import typing

import pytest

import run_sweep
from raysweep.planning.options import Options
from trainables.airbench import AirbenchConfig
from trainables.scattering import ScatteringConfig

NUMBER = 200
"""How many commands are tried."""
MOST_SECONDS = 60
"""After so long, a command hangs."""

WHOLE = (
    *("0", "-0", "1", "2", "3", "5", "6", "17", "1000", "65536", "-1", "+1", "007", "1_000", "0x10", "1e3", "1e23"),
    *(str(2**31), str(2**31 - 1), str(2**63), str(-(2**63)), "9" * 20, "9" * 5000, "²", "٣", "½", "3.0", "1,5", "--"),
)
REAL = (
    *(
        "0.0",
        "-0.0",
        "0.5",
        "1",
        "1.5",
        "-1",
        "100",
        "1e-9",
        "5e-324",
        "1e-320",
        "1e23",
        "1e308",
        "1e400",
        "0.99999999",
    ),
    *("nan", "-nan", "inf", "-inf", "1e", ".", "1.2.3", "²", "0,5", "1e99999999", "0x1p3", "infinity"),
)
TEXT = (
    *(
        "",
        " ",
        "\t",
        "none",
        "None",
        "true",
        "yes",
        "a",
        "a" * 300,
        "a" * 5000,
        "C",
        "c",
        "*",
        "[",
        "[!",
        "?",
        "%s",
        "{}",
    ),
    *(
        "../..",
        "/",
        ".",
        "/dev/null",
        "~",
        "~nobody-by-this-name/x",
        "-x",
        "=",
        "a=b",
        ",",
        "😀",
        "a\nb",
        "\\",
        "'",
        "$HOME",
    ),
    *("s3://", "file://", "nowhere://x", "digits", "cifar10", "imagenet", "imagefolder", "run_sweep.py", "tests"),
)
SEEDS = (
    "0",
    "0,1",
    "0-3",
    "3-0",
    "-",
    "1-",
    "-1",
    "0-99999999999",
    "0,,1",
    "1,1",
    "²",
    "1-²",
    str(2**32),
    "a",
    "9" * 5000,
)
POOLS = {int: WHOLE, float: REAL, bool: ("true", "False", "1", "", "none", "2"), str: TEXT}

BASES = {
    ScatteringConfig: (("depth", "C"), ("cifar", "3b_cmod_L4_s100")),
    AirbenchConfig: (("airbench-cascade", "mirror"), ("epochs-to-target", "only_A")),
}
"""For each configuration groups and experiments that have it."""

FLAGS = {
    **dict.fromkeys(("space", "group", "only", "redo", "dataset", "data_dir", "results", "track"), TEXT),
    **{
        "seeds": SEEDS,
        "target": REAL,
        "num_workers": WHOLE,
        "slots": WHOLE,
        "max_seeds": WHOLE,
        "port": WHOLE,
        "gpus_per_worker": REAL,
        "budget_hours": (*REAL, "96gpu"),
    },
}
"""Flags with a value, and odd ones for each; --set and --grid take those of fields."""
ALONE = {"help", "list", "status", "tidy", "print_commands", "calibrate", "address", "code", "with_its_own_code"}
"""Flags that stop before a plan is made, measure, or look for a cluster."""


def drawn_value(draw: random.Random, kind: object) -> str:
    """A value for a field: mostly one of those that are odd for its type."""
    kinds = [part for part in typing.get_args(kind) or (kind,) if part is not type(None)]
    pool = POOLS.get(kinds[0], (*map(str, kinds), *TEXT))
    return draw.choice(pool if draw.random() < 0.8 else draw.choice(list(POOLS.values())))


def of_fields() -> list[tuple[type, str, object]]:
    """All fields of all configurations, with their types."""
    return [
        (config, field.name, typing.get_type_hints(config)[field.name])
        for config in BASES
        for field in dataclasses.fields(config)
    ]


def command(number: int) -> tuple[list[str], list[str]]:
    """A command with an odd value, and words one of which a refusal has to contain.

    Fields and flags take turns, so that all of them have theirs.
    """
    draw = random.Random(f"odd values {number}")
    fields = of_fields()
    turn = number % (len(fields) + 2 * len(FLAGS))
    if turn >= len(fields):
        name = list(FLAGS)[turn % len(FLAGS)]
        flag, value = f"--{name.replace('_', '-')}", draw.choice(FLAGS[name])
        group, only = draw.choice([base for bases in BASES.values() for base in bases])
        base = {"group": group, "only": only}
        base.pop(name, None)
        if name == "max_seeds":  # which goes with experiments that a question compares
            base = {"group": "cifar", "only": "3b_cmod_L4_s05,3b_cmod_L4_rand_s05"}
        more = ["--until-answered"] * (name == "max_seeds")
        return [*(f"--{key}={given}" for key, given in base.items()), *more, f"{flag}={value}"], [
            flag,
            name,
            value[:40],
            repr(value[:40]),
            *([f"{value.lstrip('0')} workers"] if name == "num_workers" and value.isdecimal() else []),  # 7 for 007
        ]
    config, name, kind = fields[turn]
    group, only = draw.choice(BASES[config])
    value = drawn_value(draw, kind)
    if draw.random() < 0.3:
        more = draw.choice(fields)
        values = f"{value},{drawn_value(draw, more[2])}"
        return [f"--group={group}", "--grid", f"{name}={values}"], [name, "--grid", *values.split(",")]
    return [f"--group={group}", f"--only={only}", "--set", f"{name}={value}"], [name, "--set"]


@contextlib.contextmanager
def within(seconds: int, what: object):
    """Fail if what is done within this context takes longer."""

    def hangs(*_):
        raise AssertionError(f"it hangs: {what}")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def planned(args: list[str], results) -> tuple[int, str]:
    """The exit code of a plan, and what it says on stderr."""
    where = [] if any(arg.startswith("--results") for arg in args) else [f"--results={results}"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), within(MOST_SECONDS, args):
        try:
            code = run_sweep.main([*args, "--plan", *where])
        except SystemExit as exit:
            code = exit.code
    return code, err.getvalue()


@pytest.mark.parametrize("part", range(10))
def test_odd_values_are_planned_or_refused_in_one_line_that_names_them(part, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for number in range(part, NUMBER, 10):
        args, words = command(number)
        code, said = planned(args, tmp_path / "results")
        assert code in (0, 1, 2), (args, said)
        if code:
            last = said.splitlines()[-1]
            assert last.startswith("error: "), (args, said)
            assert [line for line in said.splitlines() if not line.startswith("left out: ")] == [last], (args, said)
            assert any(word and word in last for word in words), (args, said)
    assert not any((tmp_path / "here").iterdir()), "plans write nothing"
    assert not (tmp_path / "results").exists()


def test_every_field_and_every_flag_has_its_turn():
    tried = [" ".join(command(number)[0]) for number in range(NUMBER)]
    for _, name, _ in of_fields():
        assert any(f" {name}=" in text for text in tried), name
    flags = {option.name for option in dataclasses.fields(Options) if "action" not in option.metadata["argparse"]}
    for name in (flags | FLAGS.keys()) - ALONE:
        assert any(f"--{name.replace('_', '-')}" in text for text in tried), name
