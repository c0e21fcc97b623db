"""For tests of whole sweeps: commands in the background, what they leave behind, and numbers that must agree."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from raysweep import load_results
from raysweep.running import supervisor
from tests.conftest import ROOT
from tests.raysweep.runs import MEASURED, processes_of

SHORT = ("--set", "lr_epochs=3", "epochs=2", "train_size=0.3")


PAIR = ("--group", "cifar", "--only", "3b_cmod_L4_s10,3b_cmod_L4_rand_s10", "--seeds", "42", *SHORT)


CHEAP = ("--space", ROOT / "examples" / "breast_cancer.py", "--group", "cancer", "--only", "linear", "--seeds", "0")
"""One run of next to no work, whose epochs are as many as --set says."""


TIMELESS = (
    *MEASURED,
    *("started", "finished", "restarts", "hostname", "trial"),
    *("code", "revision", "patch"),  # which people may edit while a test runs
    *("attempt", "predicted_epochs", "predicted_basis"),
)


def numbers(folder) -> list[dict]:
    """Everything in the results but times, hosts and the copies of the code."""
    frame = load_results(folder).sort_values("run")
    frame = frame.drop(columns=[c for c in frame if c.endswith(TIMELESS)] + ["save_dir"])
    return json.loads(frame.to_json(orient="records"))


@contextlib.contextmanager
def background(*args, under=()):
    """A sweep in the background, `under` such a command as nohup, and an iterator over its lines."""
    command = [*under, sys.executable, "-u", "run_sweep.py", *map(str, args)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A test run in the background of a shell ignores Ctrl-C, or under nohup SIGHUP; its children would as well.
        preexec_fn=lambda: [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGHUP)],
    ) as process:
        yield process, iter(process.stdout.readline, "")


def wait_for(lines, text: str) -> None:
    seen = []
    for line in lines:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"the sweep ended without printing {text!r}: {''.join(seen)}")


def process_of(name: str, roots: set[int]) -> int:
    """A Ray process of that name below `roots`."""
    for _, pid in processes_of(name, roots):
        return pid
    raise LookupError(name)


def daemon_of(name: str, root: int) -> int:
    """A process of Ray's own below `root` whose command names it."""
    for pid, _ in supervisor.descendants({root}):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:4]
            if any(word.endswith(name) for word in words):
                return pid
    raise LookupError(name)


def living(pids) -> set[int]:
    return set(supervisor.processes()) & set(pids)


def gone_within(seconds: float, pids) -> bool:
    until = time.monotonic() + seconds
    while living(pids) and time.monotonic() < until:
        time.sleep(0.2)
    return not living(pids)
