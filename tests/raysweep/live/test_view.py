"""What users see of a sweep: in terminals of several sizes, in a pipe, in a second terminal, in a notebook."""

import contextlib
import io
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import DIVERGED, FAILED, FINISHED
from raysweep.ledger.store import LedgerError
from raysweep.live.formatting import format_duration, format_estimate
from raysweep.live.state import DONE_BEFORE, STARTING, TRAINING, WAITING, RunState, SweepState, read_state
from raysweep.live.status import Status
from raysweep.live.table import Table
from raysweep.live.timeleft import TimeEstimate
from raysweep.live.view import LinesView
from raysweep.live.watch import as_html, observe, watch_sweep
from tests.conftest import ROOT, run
from tests.raysweep.live.screen import drive
from tests.raysweep.live.sweep import epoch, planned

NOW = 1_760_000_000.0
LONG = "4b_cmod_L4_h27_lp_rand_s100"
ERROR = f"failed: RuntimeError: {'CUDA error: an illegal memory access was encountered; ' * 8}"

SIMULATED = f"""
import signal, sys, time
from raysweep.ledger import open_ledger
from raysweep.live.status import Status
from raysweep.live.view import choose_view
from tests.raysweep.live.sweep import epoch, planned

runs = [planned("{LONG}", seed) for seed in range(8)]
ledger = open_ledger(sys.argv[1])
with ledger.store.locked():
    signal.signal(signal.SIGINT, lambda *_: print("Ctrl-C: running trials write their checkpoints", flush=True))
    status = Status(ledger, choose_view(), slots=2)
    status.add(runs)
    status.start()
    for i, run in enumerate(runs):
        status.admitted(run)
        status.report(run, {{"event": "start", "resumed_at": None, "actual_train_samples": 900}})
        for number in range(1, 5):
            status.report(run, epoch("head", number, 4, 0.1, val_acc=50.0 + number, best_acc=50.0 + number))
            time.sleep(float(sys.argv[2]))
        if i == 2:
            status.retried(run, "out of memory; goes on with batches in 2 parts")
        if i == 5:
            status.ended(run, "failed", "failed: RuntimeError: " + 10 * "a very long message ")
        else:
            status.ended(run, "finished", "finished, 1 s of training")
    status.close()
print("answers follow")
"""


def row(i: int, state: str, **more) -> RunState:
    times = {"started": NOW - 1000 + i} if state in (TRAINING, FINISHED, FAILED, DIVERGED) else {}
    times |= {"ended": NOW - 500 + i} if state in (FINISHED, FAILED, DIVERGED) else {}
    group = ("cifar", "data-efficiency")[i % 2]
    return RunState(**{"run": f"r{i}", "experiment": LONG, "group": group, "seed": i, "state": state, **times, **more})


def sweep(n_done=60, n_training=8, n_waiting=70) -> SweepState:
    """A sweep of 140 runs in which one failed and one goes on after an error."""
    rows = [row(i, DONE_BEFORE if i < 5 else FINISHED, val_acc=61.2, best_acc=62.3) for i in range(n_done)]
    rows += [row(len(rows), FAILED, error=ERROR), row(len(rows) + 1, STARTING)]
    measured = {"phase": "finetune", "epoch": 12, "epochs": 100, "val_acc": 61.2, "images_per_second": 15762.4}
    rows += [row(100 + i, TRAINING, **measured) for i in range(n_training)]
    rows[-1] = replace(rows[-1], retries=2, error="out of memory; goes on with batches in 2 parts")
    rows += [row(200 + i, WAITING) for i in range(n_waiting)]
    left = {one.run: TimeEstimate(720, 540, 900) for one in rows if one.state in (TRAINING, WAITING)}
    return SweepState(
        location="results",
        holder="process 1 on host",
        slots=8,
        started=NOW - 4300,
        written=NOW,
        run_states=rows,
        estimated=NOW,
        left=left,
        total=TimeEstimate(7900, 6600, 9800),
    )


def drawn(state: SweepState, width: int, height: int, *, now: float = NOW) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, height=height).print(Table(lambda: state, clock=lambda: now))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 300])
def test_the_table_fits_any_terminal(width):
    for height, n_training in itertools.product((5, 10, 24, 50, 100), (0, 1, 8, 200)):
        plain = sweep(n_training=n_training)
        for state in (plain, replace(plain, ended=NOW), waiting_for_images(plain, 31.2)):
            lines = drawn(state, width, height)
            assert len(lines) <= height - 1
            assert max(map(cell_len, lines)) <= width


def test_at_160_columns_the_table_shows_everything():
    lines = drawn(sweep(), 160, 50)
    text = "\n".join(lines)
    assert lines[0].startswith("61 of 140 runs done ━")
    assert "8 training · 1 starting · 70 waiting · 60 finished (5 before) · 1 failed" in lines[1]
    assert "2.2 h left (1.8-2.7), until about" in lines[1]
    assert "running for 72 min" in lines[1]
    assert lines[3].split() == [
        *("group", "trial", "seed", "phase", "val", "acc", "best", "images/s", "time", "left", "retries"),
    ]
    training = next(line for line in lines if line.startswith("●"))
    assert training.split()[:8] == ["●", "cifar", LONG, "100", "finetune", "12/100", "━╌╌╌╌╌╌╌╌╌", "61.20"]
    assert "15,762  12 min (9.0-15)" in training
    assert re.search(rf"{LONG} +107 .* 2\n  retry 2: out of memory; goes on with batches in 2 parts", text)
    failed = next(i for i, line in enumerate(lines) if line.startswith("✗"))
    assert lines[failed + 1].startswith("  failed: RuntimeError: CUDA error")
    assert lines[-1] == "  67 more waiting, 56 done and not shown"


def test_at_80_columns_names_progress_and_intervals_are_whole():
    lines = drawn(sweep(), 80, 24)
    training = [line for line in lines if line.startswith("●")]
    assert training[0].split() == ["●", LONG, "100", "finetune", "12/100", "61.20", "15,762", "12", "min", "(9.0-15)"]
    assert len(training) == 8
    assert any(line.startswith("  retry 2: out of memory") for line in lines)
    assert sum("waiting" in line for line in lines[3:]) >= 2


def waiting_for_images(state: SweepState, *waits: float) -> SweepState:
    """The sweep, of whose training runs the first ones waited for such a part of their time, in percent."""
    parts = dict(zip((one.run for one in state.run_states if one.state == TRAINING), waits, strict=False))
    return replace(state, run_states=[replace(one, data_wait=parts.get(one.run)) for one in state.run_states])


def test_runs_that_wait_for_their_images_say_so_and_others_take_no_room():
    lines = drawn(waiting_for_images(sweep(), 31.2, 9.9), 160, 50)
    first, second, *_ = (line for line in lines if line.startswith("●"))
    assert "images/s  waiting for images  time left" in lines[3]
    assert re.search(r"15,762 +31 %  12 min \(9\.0-15\)", first)
    assert "%" not in second
    assert drawn(waiting_for_images(sweep(), 9.9), 160, 50) == drawn(sweep(), 160, 50)
    narrow = [line for line in drawn(waiting_for_images(sweep(), 31.2), 80, 24) if line.startswith("●")]
    assert narrow[0].split()[:6] == ["●", LONG, "100", "finetune", "12/100", "61.20"]
    assert " 31 % 12 min (9.0-15)" in narrow[0]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_cell_is_cut_and_names_that_leave_no_room_stand_above_their_row(width):
    state = waiting_for_images(sweep(), 31.2)
    for name in (LONG, "2b_prelu_L8_rand_kernel_size=7_e100_s100"):
        rows = [replace(one, experiment=name, error="") for one in state.run_states]
        lines = drawn(replace(state, run_states=rows), width, 40)
        shown = [line for line in lines if not line.startswith("  ")]
        assert not any("…" in line for line in shown)
        training = [line for line in shown if line.startswith("●")]
        assert training
        assert all("finetune 12/100" in line and " 61.20" in line for line in training)
        assert sum(name in line for line in shown) >= len(training)
        if width == 40:
            assert shown[shown.index(training[0]) - 1].strip() == name


def test_urgent_runs_come_next():
    state = sweep()
    rows = [replace(one, urgent=True) if one.seed == 250 else one for one in state.run_states]
    waiting = [line for line in drawn(replace(state, run_states=rows), 160, 50) if " waiting " in line and LONG in line]
    assert [int(line.split()[2]) for line in waiting] == [250, 200, 201]


def test_the_time_left_goes_down_between_two_estimates():
    later = "\n".join(drawn(sweep(), 160, 50, now=NOW + 300))
    assert "7.0 min (4.0-10)" in later
    assert "2.1 h left" in later


def test_the_table_of_an_ended_sweep_shows_failures_and_no_time_left():
    text = "\n".join(drawn(replace(sweep(n_training=0, n_waiting=0), ended=NOW), 160, 50))
    assert "✗" in text
    assert "left (" not in text
    assert "after 72 min" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (45, "45 s"), (99, "99 s"), (100, "1.7 min"), (720, "12 min"), (7900, "2.2 h"), (270000, "3.1 d")],
)
def test_durations_are_written_in_two_digits(seconds, text):
    assert format_duration(seconds) == text


def test_a_time_estimate_without_upper_bound_says_so():
    assert format_estimate(TimeEstimate(720, 540, 900)) == "12 min (9.0-15)"
    assert format_estimate(TimeEstimate(720, 540, float("inf"))) == "over 12 min"
    assert format_estimate(TimeEstimate(0, 0, float("inf"))) == "unknown"


def test_a_pipe_gets_plain_lines_and_a_summary_a_minute(capsys, tmp_path):
    class Clock:
        now = NOW

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    runs = [planned("a", seed) for seed in range(3)]
    status = Status(open_ledger(tmp_path), LinesView(clock), slots=1, clock=clock)
    status.add(runs)
    status._view.start(status.state)
    for number, wait in ((1, {}), (2, {"data_wait": 9.4}), (3, {"data_wait": 30.6})):
        status.report(runs[0], epoch("head", number, 4, 42.0, val_acc=61.2, **wait))
        status._estimate()
        clock.now += 42
    assert capsys.readouterr().out.splitlines() == [
        "[    0 s] a seed 0  head 1/4  loss 0.5000  val acc 61.20  1000 images/s",
        "[   42 s] a seed 0  head 2/4  loss 0.5000  val acc 61.20  1000 images/s",
        "[   84 s] a seed 0  head 3/4  loss 0.5000  val acc 61.20  1000 images/s  31 % waiting for images",
        "[   84 s] 0 of 3 done: 1 running, 2 waiting, over 15 min left",
    ]


@pytest.mark.parametrize("env", [{}, {"TERM": "dumb"}, {"CI": "true"}, {"PYTHONIOENCODING": "ascii"}])
def test_where_nothing_can_be_redrawn_lines_are_plain(env, tmp_path):
    command = [sys.executable, "-c", SIMULATED, tmp_path, "0.01"]
    if env:
        screen, status = drive(command, width=200, height=24, env=env)
        text = screen.text()
    else:
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert not ran.stderr
        text, status = ran.stdout, ran.returncode
    assert status == 0
    assert f"[    0 s] {LONG} seed 0  starts: 900 training images, 1 worker\n" in text
    assert f"{LONG} seed 0  head 1/4  loss 0.5000  val acc 51.00" in text.replace("\n", "")
    assert "runs done" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50)])
def test_in_a_terminal_the_table_stays_at_the_bottom_and_messages_scroll_above(width, height, tmp_path):
    sent = []

    def interrupt(screen, process) -> None:
        if "2 finished" in screen.text() and not sent:
            sent.append(process.send_signal(signal.SIGINT))

    command = [sys.executable, "-c", SIMULATED, tmp_path, "0.1"]
    screen, status = drive(command, width=width, height=height, during=interrupt)
    text = screen.text()
    lines = text.splitlines()
    assert status == 0, text
    assert not screen.cursor_hidden
    assert lines[0] == "Ctrl-C: running trials write their checkpoints"
    first = next(i for i, line in enumerate(lines) if line.startswith("8 of 8 runs done"))
    above, table = "\n".join(lines[:first]), lines[first:]
    flat = above.replace("\n", " ").replace("  ", " ")
    assert flat.count(f"{LONG} seed 2 out of memory; goes on with batches in 2 parts") == 1
    assert len(re.findall(rf"{LONG} seed 5 failed: RuntimeError: a very long", flat)) == 1
    assert "head" not in above
    assert "starts" not in above
    assert text.count("runs done") == 1
    assert "7 finished · 1 failed" in table[1]
    assert text.rstrip().endswith("answers follow")


@contextlib.contextmanager
def running(folder, pause: str):
    """A simulated sweep in another process, once it has written its status."""
    command = [sys.executable, "-c", SIMULATED, str(folder), pause]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(LedgerError):
                    if read_state(open_ledger(folder)).run_states[0].phase:
                        break
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


WATCH = "import sys; from raysweep import watch_sweep; watch_sweep(sys.argv[1])"


def test_a_second_terminal_follows_the_sweep_to_its_end(tmp_path):
    seen = []
    with running(tmp_path, "0.2") as process:
        screen, status = drive(
            [sys.executable, "-c", WATCH, tmp_path],
            width=120,
            height=30,
            during=lambda screen, _: seen.append(screen.text().splitlines()[0]),
        )
        process.wait(20)
    assert status == 0
    assert any(re.match(r"[0-7] of 8 runs done", first) for first in seen)
    assert screen.text().startswith("8 of 8 runs done")
    assert "7 finished · 1 failed" in screen.text()
    assert f"{tmp_path}: ended at " in screen.text()


def test_watching_can_be_ended_and_leaves_the_sweep_alone(tmp_path):
    sent = []

    def interrupt(screen, process) -> None:
        if "runs done" in screen.text() and not sent:
            sent.append(process.send_signal(signal.SIGINT))

    with running(tmp_path, "0.5") as process:
        screen, status = drive([sys.executable, "-c", WATCH, tmp_path], width=120, height=30, during=interrupt)
        assert status == 0
        assert "Traceback" not in screen.text()
        assert process.poll() is None


def test_a_killed_sweep_is_shown_with_when_it_was_killed_and_how_it_goes_on(tmp_path):
    with running(tmp_path, "0.5") as process:
        seen = observe(open_ledger(tmp_path))
        assert seen.is_alive
        assert f"process {process.pid} on" in seen.notice
        process.kill()
        process.wait()
    seen = observe(open_ledger(tmp_path))
    assert not seen.is_alive
    assert re.search(r"was killed after \d\d:\d\d; the same command goes on", seen.notice)
    assert TRAINING not in {one.state for one in seen.state.run_states}


def test_a_sweep_that_is_about_to_begin_is_not_mistaken_for_the_one_before(tmp_path):
    with running(tmp_path, "0.5") as process:
        process.kill()
        process.wait()
    with open_ledger(tmp_path).store.locked():
        seen = observe(open_ledger(tmp_path))
    assert not seen.is_alive
    assert f"process {os.getpid()} on {os.uname().nodename} is about to begin" in seen.notice


def test_in_a_pipe_the_table_is_printed_once_and_quickly(tmp_path):
    with running(tmp_path, "0.5"):
        started = time.monotonic()
        code = f"{WATCH}; assert not {{'ray', 'torch', 'pandas'}} & sys.modules.keys()"
        ran = run("-c", code, tmp_path)
        assert time.monotonic() - started < 3
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("of 8 runs done") == 1
    assert "\x1b" not in ran.stdout


def test_a_locale_that_lacks_the_characters_of_the_table_does_not_prevent_it(tmp_path):
    with running(tmp_path, "0.5"):
        ran = run("-c", WATCH, tmp_path, PYTHONIOENCODING="ascii")
    assert ran.returncode == 0, ran.stderr
    assert "of 8 runs done" in ran.stdout


def test_a_folder_without_a_sweep_is_an_error_of_one_line(tmp_path):
    with pytest.raises(LedgerError, match=f"^no sweep has left its status in {tmp_path}$"):
        watch_sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_the_same_table(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    with running(tmp_path, "0.05") as process:
        process.wait(30)
        cell = f"from raysweep import watch_sweep\nwatch_sweep({str(tmp_path)!r})"
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
        nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(ROOT)}}).execute()
    (output,) = notebook.cells[0].outputs
    html = output["data"]["text/html"]
    assert html.startswith("<pre ")
    assert "8 of 8 runs done" in html
    assert LONG in html


def test_html_is_escaped():
    state = sweep(n_done=0, n_training=0, n_waiting=0)
    rows = [replace(one, error="failed: <script>") if one.state == FAILED else one for one in state.run_states]
    assert "&lt;script&gt;" in as_html(Table(lambda: replace(state, run_states=rows), clock=lambda: NOW))
