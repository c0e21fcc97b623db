"""Measures how fast the runs of a plan go on this machine, a few seconds each, as many at once as in the sweep.

    python -m raysweep.forecasts.calibration    what each measuring process runs; it reads its run from its input

Rates are kept in the cache folder and measured again for another device, number of threads or version of torch.
"""

import contextlib
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from raysweep.forecasts.rates import Rates, Shape, Share, cached, keep
from raysweep.messages import one_line
from raysweep.modules import root
from raysweep.planning import PlannedRun, local_resources
from raysweep.trainable_loader import load_trainable

MOST_SECONDS = 600.0
"""Seconds after which the measurement of a shape is given up."""


def calibrate(
    runs: Sequence[PlannedRun],
    share_of: Callable[[PlannedRun], Share],
    cache: Path,
    say: Callable[[str], object] = print,
) -> None:
    """Measure each shape that the cache does not know yet, and put it there; `say` gets a line for each.

    All workers of all trials that the sweep would run at the same time measure together, so that they are in each
    other's way as they will be. A shape that cannot be measured is left out.
    """
    for run, shape, share in _unknown(runs, share_of, cache):
        try:
            measured = _measure(run, share)
            keep(shape, share, cache, measured, dataclasses.asdict(run.config))
        except (OSError, RuntimeError) as error:
            say(f"not calibrated: {run.experiment.name}: {error}")
        else:
            say(f"calibrated: {run.experiment.name} on {share.device_name}, {share.at_once} at once")


def _unknown(
    runs: Sequence[PlannedRun], share_of: Callable[[PlannedRun], Share], cache: Path
) -> Iterator[tuple[PlannedRun, Shape, Share]]:
    """The first run of each shape that is to be measured."""
    seen = set()
    for run in runs:
        shape, share = Shape.of(run), share_of(run)
        measurable = load_trainable(run.experiment.trainable).has("measure")
        if measurable and (shape, share) not in seen and not cached(shape, share, cache):
            yield run, shape, share
        seen.add((shape, share))


def _measure(run: PlannedRun, share: Share) -> list[Rates]:
    """The rates that each of the processes measured. Raises RuntimeError, in one line, if one of them fails."""
    gpus = local_resources().gpu_names if share.gpus else ()
    with contextlib.ExitStack() as stack:
        numbers = range(share.at_once * run.num_workers)
        processes = [stack.enter_context(_started(run, share, i, gpus)) for i in numbers]
        return [_answer(process, output) for process, output in processes]


@contextlib.contextmanager
def _started(
    run: PlannedRun, share: Share, number: int, gpus: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A measuring process, on one of the GPUs with these names if there are any, with its output; it is ended with
    this context."""
    threads = str(share.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root()), os.environ.get("PYTHONPATH")]))
    if share.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % share.gpus]
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
        pickle.dump(run, source)
        source.seek(0)
        command = [sys.executable, "-P", "-m", "raysweep.forecasts.calibration"]
        process = subprocess.Popen(command, stdin=source, stdout=output, stderr=subprocess.DEVNULL, env=environment)
        try:
            yield process, output
        finally:
            process.kill()
            process.wait()


def _answer(process: subprocess.Popen[bytes], output: IO[bytes]) -> Rates:
    try:
        process.wait(MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"it takes more than {MOST_SECONDS:g} s") from None
    output.seek(0)
    lines = output.read().decode(errors="replace").splitlines()
    try:
        answer: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"its process ended with code {process.returncode}, perhaps for want of memory") from None
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer


def _main() -> None:
    """Measure the run that the input names, and print its rates as JSON."""
    run: PlannedRun = pickle.load(sys.stdin.buffer)
    try:
        answer: dict[str, Any] = dict(load_trainable(run.experiment.trainable).measure(run.config, run.num_workers))
    except Exception as error:
        answer = {"error": one_line(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    _main()
