"""A family of one's own in one file, as docs/extending.md explains: what finds more tumours than a linear classifier?

569 tumours of 30 features each, scikit-learn's copy of the Wisconsin data. A run takes a second on one core.

    python run_sweep.py --space examples/breast_cancer.py --group cancer
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raysweep import Experiment, Family, Group, Metric, Question
from search_spaces.axes import Axes, tune_space
from trainables.cli import parse


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The configuration of a run."""

    hidden: int = 0
    """Units of the hidden layer; 0: the classifier is linear."""
    malignant_weight: float = 1.0
    """Weight of the malignant tumours in the loss."""
    epochs: int = 5
    lr: float = 0.01
    seed: int = 0
    """Random seed of the split, the initialisation and the order of the training data."""
    save_dir: str = field(default="runs", metadata={"cosmetic": True})


def check(config: Config, num_workers: int) -> dict[str, Any]:
    """Facts about a run before it starts. Raises ValueError for one that cannot be."""
    if config.hidden < 0:
        raise ValueError(f"hidden={config.hidden} must be at least 0")
    if num_workers > 1:
        raise ValueError(f"{num_workers} workers are too many for so few data; --num-workers 1")
    return {"data": "scikit-learn's breast cancer", "numerics": 1}


def train(config: Config) -> Iterator[dict[str, Any]]:
    """Train, and report: "start", "epoch" after each epoch, and last "result" or "stopped"."""
    import torch  # here, since plans and --list import the file
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    torch.manual_seed(config.seed)
    features, benign = load_breast_cancer(return_X_y=True)
    split = train_test_split(features, 1 - benign, test_size=0.3, stratify=benign, random_state=config.seed)
    x, x_test, y, y_test = (torch.tensor(part, dtype=torch.float32) for part in split)
    x, x_test = ((part - x.mean(0)) / x.std(0) for part in (x, x_test))
    hidden = [torch.nn.Linear(30, config.hidden), torch.nn.ReLU()] if config.hidden else []
    net = torch.nn.Sequential(*hidden, torch.nn.Linear(config.hidden or 30, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=config.lr)
    loss_of = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(config.malignant_weight))

    folder, done = Path(config.save_dir), 0
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "last.pt").exists():  # the run was interrupted, and goes on
        state = torch.load(folder / "last.pt")
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["epoch"]
    yield {"event": "start", "resumed_at": ("train", done, 0) if done else None}
    for epoch in range(done + 1, config.epochs + 1):
        started = time.perf_counter()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1000 * config.seed + epoch))
        for part in order.split(32):
            loss = loss_of(net(x[part]).squeeze(1), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        torch.save(state, folder / "last.tmp")
        (folder / "last.tmp").replace(folder / "last.pt")  # which is whole at any moment
        report = {"phase": "train", "epoch": epoch, "epochs": config.epochs, "train_loss": loss.item()}
        yield {"event": "epoch", **report, "images_per_second": len(x) / (time.perf_counter() - started)}
        if (folder / "stop").exists():  # somebody asks the run to stop
            yield {"event": "stopped"}
            return
    with torch.no_grad():
        right = (net(x_test).squeeze(1) > 0) == (y_test == 1)
    accuracy, recall = (100 * part.float().mean().item() for part in (right, right[y_test == 1]))
    yield {"event": "result", "results": {"final_acc": accuracy, "recall": recall, "test_samples": len(right)}}


AXES: Axes = {"hidden": (0, 16), "malignant_weight": (1.0, 4.0)}


def space() -> dict[str, Any]:
    """The axes as a Ray Tune search space, for a Tuner of one's own."""
    return tune_space(AXES, {})


LINEAR = Experiment(name="linear", config=Config(), trainable=__name__, seeds=tuple(range(10)), runs_per_trial=10)
HIDDEN = replace(LINEAR, name="hidden", config=Config(hidden=16), priority=1, why="a hidden layer")
WEIGHTED = replace(LINEAR, name="weighted", config=Config(malignant_weight=4.0), priority=1, why="a weight of 4")


def _question(arm: str, factor: str, metric: str, text: str) -> Question:
    fields: dict[str, Any] = {"name": arm, "text": text, "arms": (arm,), "metrics": (metric,), "factor": (factor,)}
    return Question(baseline="linear", smallest_effect=1.0, **fields)


FAMILY = Family(
    name="breast_cancer",
    dataset="breast_cancer",
    experiments=(LINEAR, HIDDEN, WEIGHTED),
    groups=(Group(name="cancer", experiments=("linear", "hidden", "weighted"), why="what finds more tumours"),),
    questions=(
        _question("hidden", "hidden", "final_acc", "Does a hidden layer classify more tumours correctly?"),
        _question("weighted", "malignant_weight", "recall", "Does a weight find more of the malignant tumours?"),
    ),
    metrics=(Metric(name="final_acc", unit="%", resolution=1, label="accuracy"), Metric(name="recall", unit="%")),
)

if __name__ == "__main__":  # what --print-commands prints: one run without Ray
    print(*train(parse(Config)), sep="\n")
