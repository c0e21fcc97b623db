"""What the terminal shows is whole at any width: nothing is cut, nothing is wider, what is left out is named."""

import io
import re
import shlex

import pytest
from rich.console import Console

from analysis import terminal
from analysis.reading.importing import import_results
from analysis.reading.results import Results
from analysis.tables.column import LABEL, Column
from analysis.tables.fitting import broken, fitted
from analysis.tables.overall import all_tables, runs_table
from analysis.tables.table import Table
from analysis.terminal import print_results
from analysis.verdicts.answers import verdicts
from raysweep.ledger.opening import open_ledger
from tests.analysis.original_files import archive, results_of_sample
from tests.analysis.sweeps import TIME, frame, question, record, runs_of, timed

WIDTHS = (60, 80, 120, 160)


def shown(thing, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    return console.file.getvalue()


def require_whole(table: Table, width: int) -> None:
    """No line is wider, no text is cut, and each column stands in the table or is named below it."""
    text = shown(table.rich(width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    rows = list(table.shown())
    fit = fitted(table.columns, rows, width)
    with_text = [i for i in range(len(table.columns)) if not rows or any(row[i] for row in rows)]
    assert len(fit.columns) + len(fit.left_out) == len(with_text)
    plain = re.sub(r"[\s│┃]+", " ", text)
    for name in fit.left_out:
        assert name in plain
    for row in rows:
        for i in fit.columns:
            for part in broken(row[i], fit.widths[fit.columns.index(i)]).split("\n"):
                assert part in text
    numbers = [row[i] for row in rows for i in fit.columns if table.columns[i].form is not None]
    assert all(number in plain for number in numbers), "a number is never broken"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The authors' runs of the sample, with our family's questions."""
    return results_of_sample(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def own():
    """A folder of several data sets, with failures, questions, times, fields that vary, and long names."""
    long = "2b_prelu_L8_rand_kernel_size=7_epochs=120_global_avg_pool_s100"
    records = [
        *runs_of("C", [60.0, 61.0, 60.4], finetune_acc=70.0, seconds=4000.0, config={"L": 4, "kernel_size": 5}),
        *runs_of("A", [58.0, 63.0, 59.5], finetune_acc=69.0, seconds=40.0, config={"L": 8, "kernel_size": 7}),
        *runs_of(long, [50.25, 51.5], joint_acc=71.0, finetune_images_per_second=12345.6, config={"L": 16}),
        record("B", 0, status="failed"),
        *runs_of("A", [40.0], dataset="imagenet", head_acc5=66.6, num_classes=1000),
        *timed("mirror", [3.9, 4.1, 4.0], [94.0, 94.1, 93.9]),
        *timed("muon", [2.9, 3.1, 3.0], [94.0, 94.2, 93.9]),
    ]
    asked = (
        question(),
        question(**{**TIME, "name": "faster", "text": "Is it faster?", "baseline": "mirror", "arms": ("muon",)}),
    )
    return Results(frame=frame(*records), questions=asked)


def require_all_whole(results: Results) -> None:
    """Each table there is, and all that is printed, at several widths."""
    answers = verdicts(results)
    tables = [*all_tables(results, answers), *map(runs_table, results.settings)]
    for width in (40, *WIDTHS, 300):
        for table in tables:
            require_whole(table, width)
    for width in WIDTHS:
        console = Console(file=io.StringIO(), width=width)
        print_results(results, console, answers)
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text


@pytest.mark.parametrize("which", ["original", "own"])
def test_all_that_is_shown_is_whole_at_any_width(which, request):
    require_all_whole(request.getfixturevalue(which))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar_all_results", "cifar_post_cifar10"])
def test_the_authors_files_are_shown_whole(name, tmp_path):
    import_results(open_ledger(tmp_path / "results"), [archive(name, tmp_path)])
    require_all_whole(Results.read(tmp_path / "results"))


def test_the_headings_are_the_names_of_the_fields(original):
    text = shown(runs_table(original.settings[0]).rich(160), 160)
    heading = text[: text.index("┡")]
    for name in ("experiment", "seed", "train_size", "head_acc", "finetune_acc", "finetune_gain", "joint_acc"):
        assert name in heading


def test_the_least_important_columns_go_first_and_labels_never():
    columns = [
        Column(name="a", heading="experiment", importance=LABEL),
        Column(name="b", heading="seconds", form=0, importance=10),
        Column(name="c", heading="final_acc", form=2, importance=70),
        Column(name="d", heading="±", form=2, importance=40),
        Column(name="e", heading="params", form=0, importance=10),
    ]
    rows = [["3b_cmod_L4_s10", "1200", "73.49", "0.31", "1000000"]]
    gone = [fitted(columns, rows, width).left_out for width in (60, 50, 40, 30, 20)]
    assert gone == [
        [],
        ["params"],
        ["seconds", "params"],
        ["seconds", "final_acc ±", "params"],
        ["seconds", "final_acc", "final_acc ±", "params"],
    ]


def test_names_are_broken_where_their_parts_end():
    name = "2b_prelu_L8_rand_kernel_size=7_epochs=120_s100"
    for width in range(1, 60):
        lines = broken(name, width).split("\n")
        assert "".join(lines) == name
        assert max(map(len, lines)) <= width
    assert broken(name, 20).split("\n") == ["2b_prelu_L8_rand_", "kernel_size=7_", "epochs=120_s100"]
    assert broken("one two three", 8).split("\n") == ["one two", "three"]


def test_half_the_interval_is_explained_where_it_is_shown(original):
    table = next(table for table in all_tables(original, []) if table.name == "summary")
    text = shown(table.rich(160), 160)
    assert " ± " in text[: text.index("┡")]
    assert "±: half of their 95 % interval" in text
    assert "left out for width: " in shown(table.rich(60), 60)
    assert "--out has all in tables/summary.csv" in " ".join(shown(table.rich(60), 60).split())


def test_a_command_that_goes_on_in_the_next_line_is_the_same_command():
    command = (
        "python run_sweep.py --group cifar --only '3b_cmod L4_s10,3b_cmod_L4_rand_s10' --seeds 47,48,49 --set a='b c'"
    )
    for width in (40, 60, 80, 200):
        text = terminal._in_lines(command, width, indent=6)
        assert shlex.split(text.replace("\\\n", "")) == shlex.split(command), "as a shell reads it"
        assert text.count("\n") == text.count("\\\n")
    assert max(map(len, terminal._in_lines(command, 60, indent=6).split("\n"))) <= 60


@pytest.mark.parametrize(("columns", "width"), [("90", 90), ("", 160), ("wide", 160)])
def test_without_a_terminal_lines_have_160_characters_or_those_of_columns(columns, width, monkeypatch, own, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("os.isatty", lambda _: False)
    print_results(own, answers=[])
    widest = max(map(len, capsys.readouterr().out.splitlines()))
    assert width - 30 < widest <= width
