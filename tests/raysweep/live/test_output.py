"""What becomes of a program whose standard output is closed, goes away, or is full; on real pipes and files."""

import subprocess
import sys

from tests.conftest import ROOT

PRINTS = """
import sys
from raysweep.live import open_closed_streams, outlived_output

open_closed_streams()
with outlived_output():
    print("first", flush=True)
    sys.stdin.readline()
    for n in range(100):
        print("x" * 1000, flush=n % 2 == 0)
    print("to stderr", file=sys.stderr)
with open(sys.argv[1], "w") as file:
    print(file.fileno(), sys.stdout.fileno(), "done", file=file)
"""


def test_a_pipe_that_nobody_reads_any_more_changes_nothing(tmp_path):
    """As of `| head -1`; standard error goes into the same pipe."""
    command = [sys.executable, "-c", PRINTS, tmp_path / "file"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    assert process.stdout.readline() == "first\n"
    process.stdout.close()
    process.stdin.write("go on\n")
    process.stdin.close()
    assert process.wait(20) == 0
    assert "done" in (tmp_path / "file").read_text()


def test_a_closed_standard_output_gives_its_number_to_no_file(tmp_path):
    command = f"exec {sys.executable} -c '{PRINTS}' {tmp_path / 'file'} <&- >&- 2>&-"
    ran = subprocess.run(["bash", "-c", command], cwd=ROOT, timeout=20)
    assert ran.returncode == 0
    number, _, said = (tmp_path / "file").read_text().split()
    assert int(number) > 2
    assert said == "done"


def test_a_full_disk_below_standard_output_changes_nothing(tmp_path):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", PRINTS, tmp_path / "file"]
        ran = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=20
        )
    assert (ran.returncode, ran.stderr) == (0, b"to stderr\n")
    assert "done" in (tmp_path / "file").read_text()
