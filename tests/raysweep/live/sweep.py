"""A sweep without processes, for tests of the live view: runs, their reports, and a status on a simulated clock."""

from raysweep.experiment import Experiment
from raysweep.ledger.opening import open_ledger
from raysweep.live.status import Status
from raysweep.live.timeleft import TimeEstimate
from raysweep.planning.runs import PlannedRun
from tests.fake_trainable import FakeConfig

PHASES = [
    {"phase": "head", "epochs": 4, "least_epochs": 4, "train_images": 900, "validation_images": 100},
    {"phase": "finetune", "epochs": 10, "least_epochs": 3, "train_images": 1900, "validation_images": 100},
]


def planned(name: str, seed: int = 0, *, phases=PHASES, num_workers: int = 1, group: str = "fakes") -> PlannedRun:
    experiment = Experiment(name=name, config=FakeConfig(seed=seed), trainable="tests.fake_trainable", priority=1)
    facts = {"phases": phases} if phases else {}
    return PlannedRun(
        name=f"{name}-s{seed}",
        key=f"{name}{seed}",
        experiment=experiment,
        group=group,
        dataset="none",
        config=experiment.config,
        num_workers=num_workers,
        changed="",
        facts=facts,
    )


def epoch(phase: str, number: int, epochs: float, seconds: float, **more) -> dict:
    """The report of an epoch that took so many seconds."""
    measured = {"train_loss": 0.5, "images_per_second": 1000.0, "seconds": seconds, **more}
    return {"event": "epoch", "phase": phase, "epoch": number, "epochs": epochs, **measured}


class RecordingView:
    """A view that keeps the lines it is given."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, bool]] = []

    def start(self, state) -> None: ...

    def line(self, run, text, *, notable) -> None:
        self.lines.append((run.name, text, notable))

    def close(self) -> None: ...


class Sweep:
    """A status whose clock, `now`, is set by tests."""

    def __init__(self, folder, runs, **more) -> None:
        self.now, self.view = 1e9, RecordingView()
        more = {"slots": 1, **more}
        self.status = Status(open_ledger(folder), self.view, clock=lambda: self.now, **more)
        self.status.add(runs)

    def row(self, run: PlannedRun):
        return next(row for row in self.status.state().run_states if row.run == run.name)

    def left(self, run: PlannedRun) -> TimeEstimate | None:
        self.status._estimate()
        return self.status.state().left.get(run.name)
