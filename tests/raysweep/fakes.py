"""Experiments of a trainable that does nothing, for tests of the launcher."""

from raysweep.experiment import Experiment, Family
from tests.fake_trainable import FakeConfig

FAMILY = Family(name="fakes", dataset="none", experiments=(), groups=(), questions=(), grid=lambda values: ([], []))


def fake(name: str, priority: int, **fields) -> Experiment:
    return Experiment(
        name=name,
        config=FakeConfig(**fields),
        trainable="tests.fake_trainable",
        priority=priority,
        num_workers=1,
        seeds=(0,),
    )
