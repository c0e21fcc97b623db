"""A record, for tests of the ledger."""

from raysweep.ledger.records import FINISHED


def record(name="C-s42-0", status=FINISHED, **more):
    return {
        "run": name,
        "key": f"key of {name}",
        "experiment": name.split("-")[0],
        "group": "depth",
        "dataset": "digits",
        "seed": 42,
        "status": status,
        "error": None,
        "config": {"n_blocks": 4, "train_size": 0.5, "dataset": "digits", "seed": 42},
        "results": {"head_acc": 61.5, "train_size": 0.5},
        "curves": {"phase_a": [{"epoch": 1, "val_acc": 61.5}]},
        "provenance": {"torch_version": "2.14.1"},
        **more,
    }
