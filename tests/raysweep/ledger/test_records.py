import json
import os
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from raysweep import Question, load_results
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import read_questions, write_plan
from raysweep.ledger.records import FAILED, FINISHED, SupersededError, recorded_config, run_key
from raysweep.ledger.store import LedgerError
from tests.conftest import ROOT
from tests.raysweep.ledger.recorded import record
from trainables.airbench import AirbenchConfig
from trainables.scattering import ScatteringConfig


def key(**changes):
    identity = {"num_workers": 1, "data": "abc", "numerics": 1}
    config = {name: changes.pop(name) for name in list(changes) if name not in identity}
    return run_key("trainables.scattering", ScatteringConfig(**config), **{**identity, **changes})


def test_keys_follow_what_can_change_the_numbers():
    same = key()
    assert same == key(save_dir="elsewhere", print_freq=0, workers=7, data_dir="/moved")
    different = [
        key(seed=1),
        key(epochs=99),
        key(dataset="cifar10"),
        key(train_size=0.5),
        key(num_workers=2),
        key(data="other"),
        key(numerics=2),
    ]
    assert len({same, *different}) == len(different) + 1


def test_a_field_that_came_later_changes_keys_and_records_only_where_it_has_another_value():
    assert key(decode="gpu") != key() == key(decode="cpu")
    assert "decode" not in recorded_config(ScatteringConfig())
    assert recorded_config(ScatteringConfig(decode="gpu"))["decode"] == "gpu"


@pytest.mark.parametrize(
    ("config", "expected"), [(ScatteringConfig(), "0a1cd121e6c21733"), (AirbenchConfig(), "e62018f219406602")]
)
def test_keys_are_those_of_the_first_version(config, expected):
    """As commit 7efbacf gives them: a key that changes is a run that is done again."""
    module = type(config).__module__.rpartition(".")[0]
    assert run_key(module, config, num_workers=1, data="abc", numerics=1) == expected


def test_a_record_is_read_back_as_a_row(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    ledger.write(record())
    ledger.write(record())
    ledger.write(record("A-s42-1", status=FAILED, error="out of luck", results={}))
    frame = load_results(tmp_path / "results")
    assert len(frame) == 1
    row = frame.iloc[0]
    assert (row["experiment"], row["group"], row["dataset"], row["seed"]) == ("C", "depth", "digits", 42)
    assert (row["n_blocks"], row["head_acc"], row["status"], row["torch_version"]) == (4, 61.5, FINISHED, "2.14.1")
    assert row["curves"]["phase_a"][0]["val_acc"] == 61.5
    both = load_results(tmp_path / "results", failed=True)
    assert set(both["status"]) == {FINISHED, FAILED}
    assert ledger.finished() == {"C-s42-0"}


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    ledger.write(record("A-s42-1"))
    file = tmp_path / "records" / "A-s42-1.json"
    for content in (file.read_bytes()[:100], b"", b"[]", b'"text"', b'{"run": "A"}', b"\xff\xfe"):
        file.write_bytes(content)
        assert ledger.finished() == {"C-s42-0"}
        assert ledger.damaged == [str(file)]


def test_every_flipped_bit_and_every_truncation_is_detected(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    ledger.write(record("A-s42-1"))
    file = tmp_path / "records" / "A-s42-1.json"
    whole = file.read_bytes()
    meaning = json.loads(whole)
    for i in range(8 * len(whole)):
        content = bytearray(whole)
        content[i // 8] ^= 1 << i % 8
        file.write_bytes(content)
        try:
            harmless = json.loads(content) == meaning  # one kind of white space for another
        except ValueError:
            harmless = False
        assert (ledger.record("A-s42-1") is not None) == harmless, f"bit {i}"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert ledger.finished() == {"C-s42-0"}
    assert ledger.set_aside() == [str(tmp_path / "damaged" / "A-s42-1.json")]
    assert not file.exists()
    file.write_bytes(whole[:9])
    assert ledger.set_aside() == [str(tmp_path / "damaged" / "A-s42-1.json.1")]


def test_what_a_replaced_attempt_would_record_is_refused(tmp_path):
    ledger = open_ledger(tmp_path)
    assert [ledger.begin("C-s42-0"), ledger.begin("C-s42-0"), ledger.begin("A-s42-1")] == [1, 2, 1]
    with pytest.raises(SupersededError, match="C-s42-0: attempt 1 was replaced by attempt 2"):
        ledger.write(record(attempt=1, status=FAILED))
    ledger.write(record(attempt=2))
    with pytest.raises(SupersededError):
        ledger.write(record(attempt=1, status=FAILED))
    assert ledger.finished() == {"C-s42-0"}
    ledger.remove("C-s42-0")
    assert ledger.begin("C-s42-0") == 3, "none of before may record after --redo"


def test_an_attempt_that_a_crash_cut_short_counts(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.begin("C-s42-0")
    with (tmp_path / "attempts" / "C-s42-0").open("a") as stream:
        stream.write("2026-11-24T0")
    assert ledger.begin("C-s42-0") == 3


def test_the_table_is_a_function_of_the_records(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.write(record("C-s42-0", curves={"phase_a": [{"epoch": 1, "val_acc": 61.5}]}))
    ledger.write(record("A-s42-1", status=FAILED, error="out of luck", results={}))
    ledger.write_frame()
    first = (tmp_path / "results.parquet").read_bytes()
    for file in (tmp_path / "records").iterdir():
        file.touch()
    open_ledger(tmp_path).write_frame()
    assert (tmp_path / "results.parquet").read_bytes() == first
    frame = pd.read_parquet(tmp_path / "results.parquet")
    assert list(frame["run"]) == ["A-s42-1", "C-s42-0"]
    assert json.loads(frame["curves"][1]) == {"phase_a": [{"epoch": 1, "val_acc": 61.5}]}


def test_names_that_are_no_text_are_escaped_in_tables(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.write(record(config={"data_dir": os.fsdecode(b"/data/caf\xe9"), "seed": 42}, error="a \ud800"))
    ledger.write_frame()
    assert ledger.record("C-s42-0")["config"]["data_dir"] == os.fsdecode(b"/data/caf\xe9")
    for frame in (pd.read_parquet(tmp_path / "results.parquet"), load_results(tmp_path)):
        assert frame["data_dir"][0] == r"/data/caf\xe9"
        assert frame["error"][0] == r"a \ud800"


def test_a_number_of_more_than_64_bits_does_not_keep_the_table_from_being_written(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.write(record("C-s42-0", results={"steps": 10**30}))
    ledger.write(record("C-s43-0", results={"steps": 3}))
    ledger.write_frame()
    assert list(pd.read_parquet(tmp_path / "results.parquet")["steps"]) == [str(10**30), "3"]


def test_a_folder_without_results(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no results of a sweep"):
        load_results(tmp_path)
    open_ledger(tmp_path).write(record(status=FAILED))
    assert list(load_results(tmp_path)["experiment"]) == []


def test_redo_forgets_a_run(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    folder = ledger.runs.folder("C-s42-0")
    folder.mkdir(parents=True)
    (folder / "last.pt").touch()
    ledger.remove("C-s42-0")
    assert not folder.exists()
    assert not ledger.finished()


HOLD = """
import sys
from raysweep.ledger import open_ledger
with open_ledger(sys.argv[1]).store.locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_sweep_at_a_time_holds_a_folder_and_death_lets_go(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(LedgerError, match=f"is in use by process {holder.pid} on"),
        open_ledger(tmp_path).store.locked(),
    ):
        pass
    holder.kill()
    holder.communicate()
    with open_ledger(tmp_path).store.locked():
        pass


def test_questions_of_several_sweeps_stay(tmp_path):
    ledger = open_ledger(tmp_path)
    depth = Question(name="depth", text="old", baseline="C", arms=("A",), metrics=("head_acc",))
    write_plan(ledger, [], [depth, replace(depth, name="other", text="?")])
    write_plan(ledger, [{"run": "x"}], [replace(depth, text="new")])
    assert [q["text"] for q in read_questions(ledger)] == ["new", "?"]
    assert json.loads((tmp_path / "plan.json").read_text()) == [{"run": "x"}]


def test_importing_raysweep_and_analysis_loads_neither_ray_nor_torch():
    code = (
        "import sys, raysweep, analysis, analysis.terminal, search_spaces; search_spaces.families(); "
        "sys.exit(bool({'ray', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
