"""Results folders and frames made by hand, for the tests of the analysis."""

import json
from dataclasses import asdict

import numpy as np

from analysis.reading.results import Results
from analysis.verdicts.answers import verdicts
from raysweep.experiment import Question
from raysweep.ledger import frames
from raysweep.ledger.questions import read_question, write_down
from raysweep.ledger.records import FAILED, FINISHED
from search_spaces import cifar_scattering

WRITTEN = "2026-01-01T00:00:00+00:00"


def record(experiment, seed, status=FINISHED, dataset="digits", config=None, **more):
    """A record as the launcher writes it; `more` are its own fields where it has them, else results."""
    name = f"{experiment}-s{seed}-{dataset}"
    own = (
        "num_workers",
        "data",
        "set",
        "numerics",
        "imported",
        "provenance",
        "started",
        "finished",
        "run",
        "selection",
        "predictions",
        "same_as",
    )
    return {
        "run": name,
        "key": f"key-{name}",
        "experiment": experiment,
        "group": "depth",
        "dataset": dataset,
        "seed": seed,
        "num_workers": 1,
        "priority": 0,
        "data": dataset,
        "finished": "2026-01-02T00:00:00+00:00",
        "set": "",
        "trainable": "trainables.scattering",
        "no_effect": ["save_dir"],
        "status": status,
        "error": "out of luck" if status == FAILED else None,
        "config": {"seed": seed, **(config or {})},
        "results": {name: value for name, value in more.items() if name not in own},
        "curves": {},
        "provenance": {},
        **{name: value for name, value in more.items() if name in own},
    }


DEPTH = {"name": "depth", "text": "Does a 5th block help?", "baseline": "C", "arms": ("A",), "metrics": ("head_acc",)}


def question(**fields):
    """A question that was written down before its results."""
    return written(Question(**{**DEPTH, **fields}))


def written(asked):
    """The same, of a question that there is."""
    return read_question(json.loads(json.dumps(write_down([asked], [], [], WRITTEN)[0])))


def all_written(family):
    """The questions of a family, as they are written down before its results."""
    return [written(family.asked(question)) for question in family.questions]


def frame(*records):
    return frames.of_records(records)


def runs_of(experiment, values, metric="head_acc", first=0, **more):
    """A record for each value, with seeds from `first` on."""
    return [record(experiment, first + i, **{metric: value}, **more) for i, value in enumerate(values)]


def answered(records, *questions, plan=()):
    """The verdicts on a frame of these records."""
    return verdicts(Results(frame=frame(*records), questions=questions, plan=plan))


def one(records, *questions, **more):
    """The only verdict."""
    (verdict,) = answered(records, *questions, **more)
    return verdict


def timed(name, seconds, accuracies, device="A100", **more):
    """A record for each time, with its accuracy."""
    return [
        record(name, i, train_seconds=s, final_acc=a, device_name=device, **more)
        for i, (s, a) in enumerate(zip(seconds, accuracies, strict=True))
    ]


def ten_thousand_runs():
    """A frame of 10,024 runs of the CIFAR family: 28 experiments with 358 seeds each, and curves of 40 epochs."""
    rng = np.random.default_rng(0)
    rows = []
    for experiment in cifar_scattering.FAMILY.experiments:
        config = asdict(experiment.config)
        for seed in range(358):
            accuracy = 70 + 10 * config["train_size"] + 3 * (not config["random_init"]) + rng.normal(0, 0.5)
            own = {"joint_acc": accuracy} if config["joint"] else {"finetune_acc": accuracy, "finetune_gain": 8.0}
            own |= {"final_acc": accuracy, "seconds": 300.0, "actual_train_samples": 50_000 * config["train_size"]}
            row = record(experiment.name, seed, dataset="cifar10", config={**config, "seed": seed}, **own)
            curve = [{"epoch": i, "train_loss": 1.0, "val_acc": accuracy} for i in range(40)]
            rows.append({**row, "curves": {"joint" if config["joint"] else "phase_b": curve}})
    return frame(*rows)


TIME = {"kind": "time", "metrics": ("train_seconds",), "better": "lower", "equal": "final_acc", "equal_within": 0.2}
