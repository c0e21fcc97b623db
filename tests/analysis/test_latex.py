"""Tables as LaTeX: any text is set, nothing runs over a margin, and every table has a caption and a label."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.reading.importing import import_results
from analysis.reading.results import Results
from analysis.tables.latex_text import breakable, latex_of, pieces_of, width_of
from analysis.tables.overall import all_tables
from analysis.tables.table import Column, Table
from analysis.verdicts.answers import verdicts
from raysweep.ledger import open_ledger
from tests.analysis.latex import set_by_latex
from tests.analysis.original_files import archive
from tests.analysis.sweeps import frame, question, record, runs_of

ODD = (
    "".join(map(chr, range(32, 127))),
    "±−≥≤→×°µ∞≠≈…–—‘’“”§©•·",
    "éèêëñçàüöäßøæœłåÅőšžąęđþ e\u0301",
    "中文 данные α Λ ο ά",
    "[3, 4]",
    "*bold",
    "--set a=1 -0.5 .. -0.25",
    "x" * 120,
    "a²+b₂ ½ ™ ﬁ \u200b \x1b[0m",
    "two\nlines\tand a tab",
    "2b_cmod_L8_rand_kernel_size=7_epochs=120_global_avg_pool_s100",
)


def table(rows, columns, **more):
    shown = [Column(name=name, heading=name, form=form) for name, form in columns.items()]
    return Table.of(rows, columns=shown, **{"name": "odd", "title": "Odd", **more})


def test_a_table_has_a_caption_a_label_and_the_packages_that_it_needs():
    text = table([{"a": "x", "b": 1.5}], {"a": None, "b": 2}, note="In points.").latex()
    assert text.startswith("% \\usepackage{booktabs,array}\n\\begin{table}")
    assert "\\caption{Odd. In points.}\\label{tab:odd}" in text
    assert "\\begin{tabular}{@{}lr@{}}\n\\toprule\na & b \\\\\n\\midrule\nx & 1.50 \\\\\n\\bottomrule" in text


def test_what_all_rows_say_is_said_in_the_caption():
    rows = [{"a": f"x{i}", "b": "same_thing", "c": None, "d": i} for i in range(3)]
    text = table(rows, {"a": None, "b": None, "c": 2, "d": "n"}).latex()
    assert "\\caption{Odd. In all rows: b same\\_thing.}" in text
    assert "a & d \\\\" in text
    alike = table([{"a": "x", "b": "y"}] * 3, {"a": None, "b": None}).latex()
    assert alike.count("x & y") == 3
    assert "In all rows" not in alike


def test_many_rows_go_over_pages_and_columns_without_room_below_each_other():
    long = table([{"a": f"x{i}", "b": i} for i in range(200)], {"a": None, "b": "n"}).latex()
    assert "longtable" in long.splitlines()[0]
    assert long.count("\\caption") == long.count("\\begin{longtable}") == 1
    names = {"c0": None, **{f"c{i}": 2 for i in range(1, 60)}}
    wide = table([{name: f"x{j}" if name == "c0" else j + 0.5 for name in names} for j in range(2)], names).latex()
    parts = re.findall(r"\\label\{(.*?)\}", wide)
    assert parts == ["tab:odd", *(f"tab:odd-{i}" for i in range(2, len(parts) + 1))]
    heads = re.findall(r"\\toprule\n(.*) \\\\", wide)
    assert all(head.startswith("c0 & ") for head in heads)
    assert [name for head in heads for name in head.split(" & ")[1:]] == list(names)[1:]


def test_minus_signs_ranges_and_characters_without_a_form_are_seen():
    assert latex_of("-0.5 .. -2, s-3, 2026-11-28, 1e-05") == "$-$0.5 .. $-$2, s-3, 2026-11-28, 1e-05"
    assert latex_of("--set") == "-{}-set"
    assert latex_of("中") == "{}[U+4E2D]"
    assert latex_of("e\u0301 ő λ ²") == r"\'{e} \H{o} $\lambda$ $^{2}$"
    assert latex_of("[a]") == "{}[a]"


def test_each_row_has_as_many_cells_as_there_are_columns():
    rows = [{"a": text, "b": text[::-1], "c": i} for i, text in enumerate(ODD)]
    for line in table(rows, {"a": None, "b": None, "c": "n"}).latex().splitlines():
        if line.endswith(r" \\"):
            assert len(re.findall(r"(?<!\\)&", line)) == 2


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_becomes_ascii_whose_braces_and_dollars_are_balanced(text):
    for written in (latex_of(text), breakable(text)):
        assert written.isascii()
        assert written.isprintable()
        bare = re.sub(r"\\[\\{}$&%#_^~]", "", written)
        assert bare.count("{") == bare.count("}")
        assert bare.count("$") % 2 == 0
        assert not set("&%#") & set(bare)
    assert "".join(piece for word in text.split() for piece in pieces_of(word)) == "".join(text.split())
    assert width_of(text) >= 0


@pytest.mark.slow
def test_latex_sets_every_character_of_the_basic_plane(tmp_path):
    letters = [chr(i) for i in range(32, 0x3000) if unicodedata.category(chr(i)) not in ("Cn", "Co", "Cs")]
    rows = [{"a": "".join(letters[i : i + 40]), "b": i} for i in range(0, len(letters), 40)]
    (tmp_path / "odd.tex").write_text(table(rows, {"a": None, "b": "g"}).latex())
    assert "Overfull" not in set_by_latex([tmp_path / "odd.tex"], tmp_path)


@pytest.mark.slow
def test_no_table_of_any_report_runs_over_a_margin(tmp_path):
    written = []
    for name in ("cifar_all_results", "cifar_post_cifar10"):
        import_results(open_ledger(tmp_path / name), [archive(name, tmp_path / "files")])
        written += _written(all_of(Results.read(tmp_path / name)), tmp_path / f"tables_{name}")
    few = [*runs_of("C", [60.0, 61.0, 60.4]), *runs_of("A", [62.0, 63.5, 62.1]), record("A", 9, status="failed")]
    written += _written(all_of(Results(frame=frame(*few), questions=[question()])), tmp_path / "tables_few")
    names = {"c0": None, **{f"column {i}": 2 for i in range(1, 40)}}
    wide = [{name: f"3b_cmod_L4_{j}" if name == "c0" else j + 0.5 for name in names} for j in range(90)]
    odd = [{"a": text, "b": -1.5 * i, "c": text[:12]} for i, text in enumerate(ODD)]
    mine = [
        table(wide, names, name="wide"),
        table(odd, {"a": None, "b": 2, "c": None}, title=" ".join(ODD), note="%"),
    ]
    written += _written(mine, tmp_path / "tables_odd")
    assert len(written) > 15
    log = set_by_latex(written, tmp_path)
    assert [line for line in log.splitlines() if line.startswith("Overfull") or "too large" in line] == []


def all_of(results):
    return [table for table in all_tables(results, verdicts(results)) if len(table.rows)]


def _written(tables, folder):
    """Leave each as a file; labels are told apart by the folder's name, as in one document they have to be."""
    folder.mkdir()
    for one in tables:
        text = one.latex().replace("\\label{tab:", f"\\label{{tab:{folder.name}-")
        (folder / f"{one.name}.tex").write_text(text)
    return sorted(folder.iterdir())
