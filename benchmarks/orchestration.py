"""What a sweep costs beside training: against plain Ray Tune, and against a shell loop over torchrun.

    python -m benchmarks.orchestration trials [--trials 1000] [--cpus 64] [--seconds 1] [--json FILE]
    python -m benchmarks.orchestration runs --data-dir CIFAR10 [--runs 8] [--epochs 65] [--json FILE]

`trials` runs a function that sleeps, on so many logical CPUs: by Ray Tune alone (each trial an actor, Tune's defaults),
by raysweep (each trial a Ray Train worker group, with records), and by raysweep with ten seeds in the processes of one
trial. Overhead is what the wall clock shows beyond sleeping on all CPUs all the time, for each trial.

`runs` trains real CIFAR-10 runs: each alone under torchrun, one after the other, the rest of the machine idle; the same
by one sweep; and by a shell loop over torchrun. Of the sweep also what passes between the end of one run on a slot and
the first step of the next one.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.measuring import cpu
from benchmarks.sleeper import SleeperConfig
from raysweep.experiment import Experiment, Family
from raysweep.ledger import open_ledger
from raysweep.planning import PlannedRun, Resources, make_runs
from raysweep.running import own_cluster, prepare_own_environment
from trainables.memory import peak_resident_bytes

FAMILY = Family(name="sleepers", dataset="none", experiments=(), groups=(), questions=(), grid=lambda _: ([], []))
SEEDS_PER_TRIAL = 10
ROOT = Path(__file__).parent.parent

Measured = dict[str, Any]


def main() -> None:
    """Measure what the command line names and print it as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("trials", "runs", "tune", "sweep", "series"), help="the last three: one side")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--cpus", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--data-dir", help="CIFAR-10")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=65, help="of the head phase of a real run")
    parser.add_argument("--json", type=Path, help="leave the figures there, too")
    args = parser.parse_args()
    print(f"{cpu()}\n")
    if args.what == "runs":
        measured = real_runs(args.data_dir, args.runs, args.epochs)
    elif args.what == "trials":
        measured = [in_process_of_its_own(side, args) for side in ("tune", "sweep", "series")]
    else:
        side = {"tune": plain_tune, "sweep": sweep, "series": series}[args.what]
        measured = [side(args.trials, args.cpus, args.seconds)]
    print(table(measured))
    if args.json:
        args.json.write_text(json.dumps(measured, indent=1))


def in_process_of_its_own(side: str, args: argparse.Namespace) -> Measured:
    """One side, so that neither finds the other's imports, caches or memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "measured.json")
        command = [sys.executable, "-m", "benchmarks.orchestration", side, "--trials", str(args.trials)]
        command += ["--cpus", str(args.cpus), "--seconds", str(args.seconds), "--json", str(file)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        measured: Measured = json.loads(file.read_text())[0]
        return measured


class Clock:
    """Seconds that pass, and seconds of CPU of this process, from now until it is stopped."""

    def __init__(self) -> None:
        self.wall, self.cpu = -time.monotonic(), -time.process_time()

    def stop(self) -> None:
        """Both stand still from here on."""
        self.wall += time.monotonic()
        self.cpu += time.process_time()


def plain_tune(trials: int, cpus: int, seconds: float) -> Measured:
    """Ray Tune alone, with its defaults, one CPU for each trial."""
    os.environ |= {"TUNE_MAX_PENDING_TRIALS_PG": "auto", "TUNE_GLOBAL_CHECKPOINT_S": "auto"}
    os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "0"}
    prepare_own_environment()  # before Ray is imported; what is set stays
    from ray import tune

    def run(config: dict[str, Any]) -> None:
        from benchmarks import sleeper

        for report in sleeper.train(SleeperConfig(seed=config["seed"], seconds=seconds)):
            tune.report({"event": report["event"], **report.get("results", {})})

    with own_cluster(Resources(cpus=cpus, gpus=0)), tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            run,
            param_space={"seed": tune.grid_search(list(range(trials)))},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        clock = Clock()
        results = tuner.fit()
        clock.stop()
        began = time.monotonic()
        frame = results.get_dataframe()
        frame_seconds = time.monotonic() - began
        order = [int(seed) for seed in frame.sort_values("begun")["config/seed"]]
    return _measured("Ray Tune", trials, cpus, seconds, clock, frame_seconds, order)


def sweep(trials: int, cpus: int, seconds: float) -> Measured:
    """raysweep, every run a trial of its own."""
    return _swept("raysweep", trials, cpus, seconds, runs_per_trial=1)


def series(trials: int, cpus: int, seconds: float) -> Measured:
    """raysweep with several seeds in the processes of each trial, as for runs that are shorter than their start."""
    return _swept(f"raysweep, {SEEDS_PER_TRIAL} seeds a trial", trials, cpus, seconds, runs_per_trial=SEEDS_PER_TRIAL)


def _swept(side: str, trials: int, cpus: int, seconds: float, *, runs_per_trial: int) -> Measured:
    prepare_own_environment()
    experiment = Experiment(
        name="sleeper",
        config=SleeperConfig(seconds=seconds),
        trainable="benchmarks.sleeper",
        seeds=tuple(range(trials)),
        runs_per_trial=runs_per_trial,
    )
    with tempfile.TemporaryDirectory() as folder:
        ledger, resources = open_ledger(folder), Resources(cpus=cpus, gpus=0)
        runs: list[PlannedRun] = make_runs([experiment], ledger, family=FAMILY, overrides={})
        with own_cluster(resources), open(os.devnull, "w") as nowhere:
            from raysweep.running import LocalPlacement, launch

            clock = Clock()
            with redirect_stdout(nowhere):
                launch(runs, ledger, LocalPlacement(ledger, resources))
            clock.stop()
        began = time.monotonic()
        ledger.write_frame()
        frame = ledger.frame()
        frame_seconds = time.monotonic() - began
        order = [int(seed) for seed in frame.sort_values("begun")["seed"]]
    return _measured(side, trials, cpus, seconds, clock, frame_seconds, order)


def _measured(
    side: str, trials: int, cpus: int, seconds: float, clock: Clock, frame_seconds: float, order: Sequence[int]
) -> Measured:
    ideal = -(-trials // cpus) * seconds
    return {
        "side": side,
        "trials": trials,
        "finished": len(order),
        "wall s": round(clock.wall, 1),
        "overhead s per trial": round((clock.wall - ideal) / trials, 3),
        "driver CPU s per trial": round(clock.cpu / trials, 3),
        "driver MB": peak_resident_bytes() // 2**20,
        "frame s": round(frame_seconds, 2),
        "furthest from the plan's order": max(abs(place - seed) for place, seed in enumerate(order)),
    }


def real_runs(data_dir: str, number: int, epochs: int) -> list[Measured]:
    """CIFAR-10 runs of 3b_cmod_L4 on 10 % of the images, that differ in their seed: alone, by a sweep, by a loop."""
    if not data_dir:
        raise SystemExit("error: --data-dir names the folder of CIFAR-10")
    seeds = [str(seed) for seed in range(number)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = [_torchrun(data_dir, seed, epochs, folder / "warm") for seed in seeds[:1]]
        _timed(commands[0])  # data into the shared memory, libraries into the caches
        alone = []
        for seed in seeds:
            save = folder / "alone" / seed
            _timed(_torchrun(data_dir, seed, epochs, save))
            alone.append(json.loads((save / "results.json").read_text())["results"]["seconds"])
        swept, gaps, first = _by_a_sweep(data_dir, seeds, epochs, folder / "sweep")
        loop = sum(_timed(_torchrun(data_dir, seed, epochs, folder / "loop" / seed)) for seed in seeds)
        shutil.rmtree(folder / "alone")
    return [
        {"side": "trained alone, sum", "wall s": round(sum(alone), 1), "to the sum": 1.0},
        {
            "side": "raysweep",
            "wall s": round(swept, 1),
            "to the sum": round((swept - first) / sum(alone), 3),
            "first start s": round(first, 1),
            "from one run to the next s": f"{statistics.median(gaps):.2f} ({min(gaps):.2f} .. {max(gaps):.2f})",
        },
        {"side": "shell loop over torchrun", "wall s": round(loop, 1), "to the sum": round(loop / sum(alone), 3)},
    ]


def _torchrun(data_dir: str, seed: str, epochs: int, save_dir: Path) -> list[str]:
    command = ["torchrun", "--nproc_per_node=1", "-m", "trainables.scattering", "--dataset", "cifar10"]
    command += ["--data-dir", data_dir, "--n-blocks", "3", "--L", "4", "--kernel-size", "5", "--train-size", "0.1"]
    command += ["--lr-epochs", str(epochs), "--epochs", "0", "--patience", "1000", "--seed", seed]
    return [str(Path(sys.executable).with_name("torchrun")), *command[1:], "--save-dir", str(save_dir)]


def _timed(command: Sequence[str]) -> float:
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def _by_a_sweep(data_dir: str, seeds: Sequence[str], epochs: int, results: Path) -> tuple[float, list[float], float]:
    """Wall seconds of the command, seconds from one run to the next on the same slot, seconds to the first step."""
    command = [sys.executable, "run_sweep.py", "--group", "cifar", "--only", "3b_cmod_L4_s10", "--seeds"]
    command += [",".join(seeds), "--data-dir", data_dir, "--results", str(results)]
    command += ["--set", f"lr_epochs={epochs}", "epochs=0", "patience=1000"]
    began = time.time()
    wall = _timed(command)
    ran = sorted((r["results"]["seconds"], _seconds(r["finished"])) for r in open_ledger(results).records())
    spans = sorted((end - seconds, end) for seconds, end in ran)
    first, ends, gaps = spans[0][0] - began, [], []
    for start, end in spans:
        if before := [e for e in ends if e <= start + 1]:
            gaps.append(start - max(before))
            ends.remove(max(before))
        ends.append(end)
    return wall, gaps, first


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def table(rows: Sequence[Measured]) -> str:
    """Rows as a Markdown table, over all their columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns), *([str(row.get(name, "")) for name in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
