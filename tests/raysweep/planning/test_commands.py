"""Commands for a shell: the seed document's flags, and exactly the configuration of the plan."""

import itertools
import shlex
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.experiment import Experiment
from raysweep.planning.commands import flags, shell_commands
from search_spaces import airbench, cifar_scattering, families, imagenet_scattering
from tests.raysweep.runs import planned
from trainables.airbench import AirbenchConfig
from trainables.airbench.__main__ import series
from trainables.cli import parse
from trainables.scattering import ScatteringConfig

SEED_COMMANDS = {
    "A": "--n-blocks 5 --L 4 --lowpass-last",
    "B": "--n-blocks 5 --L 4 --lowpass-last --mixing-horizon 27",
    "C": "--n-blocks 4 --L 4 --lowpass-last",
    "D": "--n-blocks 5 --L 8 --lowpass-last --mixing-horizon 27",
    "E": "--n-blocks 4 --L 8 --lowpass-last --mixing-horizon 27",
    "F": "--n-blocks 4 --L 4 --lowpass-last --modulus-type phase_relu",
    "G": "--n-blocks 5 --L 8 --lowpass-last --modulus-type phase_relu --mixing-horizon 27",
    "H": "--n-blocks 4 --L 4 --lowpass-last --train-size 0.1",
    "I": "--n-blocks 4 --L 4 --lowpass-last --train-size 0.3",
}
"""As in the seed document, from its save-dir on left out."""

BASE = (
    "torchrun --nproc_per_node=8 -m trainables.scattering --dataset imagenet --global-batch-size 1024 "
    "--data-dir /datasets/ImageNet --lr-epochs 20 --print-freq 200"
)
"""The seed's prefix, its train.py replaced by our module."""


def arguments(line: str, module: str) -> list[str]:
    """What follows the module in a command."""
    words = shlex.split(line)
    return words[words.index(module) + 1 :]


def scattering_config(line: str) -> ScatteringConfig:
    return parse(ScatteringConfig, arguments(line, "trainables.scattering"))


@pytest.mark.parametrize("name", SEED_COMMANDS)
def test_commands_of_a_to_i_are_those_of_the_seed_document(name: str) -> None:
    experiment = next(e for e in imagenet_scattering.EXPERIMENTS if e.name == name)
    run = planned(experiment, experiment.num_workers, data_dir="/datasets/ImageNet")
    comment, line = shell_commands([run])
    assert comment == f"# {name}: {experiment.why} (priority {experiment.priority})"
    command, save_dir = line.split(" --save-dir ")
    assert command == f"{BASE} {SEED_COMMANDS[name]}"
    assert save_dir == f"imagenet_runs/{name}-s42-01234567"


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
@pytest.mark.parametrize("data", [{"dataset": "digits"}, {"dataset": "cifar10", "data_dir": "/my data/it's here"}])
def test_every_command_parses_back_to_the_configuration_of_its_run(family: Any, data: dict[str, Any]) -> None:
    runs = [planned(e, e.num_workers, **data, seed=seed) for e in family.experiments for seed in e.seeds]
    lines = shell_commands(runs)[1::2]
    if family is airbench.FAMILY:
        configs = [config for line in lines for config in series(arguments(line, "trainables.airbench"))[1]]
        assert len(lines) == len(family.experiments)
    else:
        configs = [scattering_config(line) for line in lines]
    assert [replace(config, save_dir="") for config in configs] == [replace(run.config, save_dir="") for run in runs]
    folders = [config.save_dir for config in configs]
    assert len(set(folders)) == len(folders)


POSITIVE = st.floats(1e-6, 1e3)
OPTIONAL_COUNT = st.none() | st.integers(1, 1000)
SCATTERING = st.fixed_dictionaries(
    {},
    optional={
        "train_size": st.floats(0.001, 1.0) | st.integers(2, 5000).map(float),
        "val_split": st.floats(0, 0.9),
        "image_size": OPTIONAL_COUNT,
        "augment": st.booleans(),
        "n_blocks": st.integers(1, 6),
        "L": st.integers(1, 16),
        "kernel_size": st.sampled_from([3, 5, 7, 9]),
        "modulus_type": st.sampled_from(["complex_modulus", "phase_relu"]),
        "mixing_horizon": OPTIONAL_COUNT,
        "global_avg_pool": st.booleans(),
        "lowpass_last": st.booleans(),
        "random_init": st.booleans(),
        "joint": st.booleans(),
        "epochs": st.integers(1, 300),
        "lr_epochs": OPTIONAL_COUNT,
        "lr_head": POSITIVE,
        "lr_extractor": POSITIVE,
        "l2_penalty": POSITIVE,
        "global_batch_size": st.integers(2, 4096),
        "sync_batch_norm": st.booleans(),
        "precision": st.sampled_from(["float32", "bfloat16", "float16"]),
        "compile": st.booleans(),
        "micro_batch": st.none() | st.integers(2, 1000),
        "half_cache": st.booleans(),
        "seed": st.integers(0, 2**32 - 1),
        "data_dir": st.none() | st.text("ab '\"$\\;|&-é", min_size=1).map("/{}".format),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(cifar_scattering.FAMILY.experiments), SCATTERING, st.integers(1, 8))
def test_any_changed_scattering_run_parses_back(experiment: Experiment, changes: Any, num_workers: int) -> None:
    run = planned(experiment, num_workers, **changes)
    _, line = shell_commands([run])
    assert replace(scattering_config(line), save_dir="") == replace(run.config, save_dir="")
    assert f"--nproc_per_node={num_workers} " in line


AIRBENCH = st.fixed_dictionaries(
    {},
    optional={
        "stem": st.sampled_from(["norm", "bias"]),
        **{name: st.booleans() for name in ("whiten", "dirac", "scalebias", "freeze", "lookahead", "muon", "compile")},
        "tta": st.sampled_from(["none", "mirror", "six_views"]),
        "flip": st.sampled_from(["none", "random", "alternating"]),
        **dict.fromkeys(("epochs", "lr", "bias_scaler", "logit_scale", "weight_decay"), POSITIVE),
        "batch_size": st.integers(2, 4096),
        "data_dir": st.just("/data"),
        "dataset": st.sampled_from(["cifar10", "cifar100"]),
    },
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(airbench.FAMILY.experiments),
    AIRBENCH,
    st.lists(st.integers(0, 8), min_size=1, max_size=6, unique=True),
    st.integers(1, 2),
)
def test_any_changed_airbench_seeds_parse_back(
    experiment: Experiment, changes: Any, seeds: list[int], num_workers: int
) -> None:
    runs = [planned(experiment, num_workers, **changes, seed=seed) for seed in seeds]
    lines = shell_commands(runs)[1::2]
    parsed = [config for line in lines for config in series(arguments(line, "trainables.airbench"))[1]]
    assert [replace(config, save_dir="") for config in parsed] == [replace(run.config, save_dir="") for run in runs]
    breaks = sum(b != a + 1 for a, b in itertools.pairwise(seeds))
    assert len(lines) == breaks + 1


def test_airbench_at_the_design_documents_own_example() -> None:
    mirror = next(e for e in airbench.FAMILY.experiments if e.name == "mirror")
    runs = [planned(mirror, data_dir="/d", seed=seed) for seed in range(5)]
    comment, line = shell_commands(runs)
    assert comment == "# mirror, seeds 0-4: alternating flip (priority 7)"
    assert line == (
        "python -m trainables.airbench --ablation mirror --data-dir /d --save-dir cifar10_runs/mirror-s0-4-01234567 "
        "--runs 5"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnConfig:
    width: int
    dataset: str = "digits"
    data_dir: str | None = None
    seed: int = 0
    shuffle: bool = True
    temperature: float = 1.0
    tags: tuple[str, ...] = field(default_factory=tuple)
    save_dir: str = "runs"


def test_a_trainable_without_a_command_of_its_own_gets_its_fields_as_flags() -> None:
    config = OwnConfig(width=3, shuffle=False, temperature=-0.5)
    experiment = Experiment(name="own", config=config, trainable="tests.fake_trainable", why="mine")
    assert shell_commands([planned(experiment, 2)]) == [
        "# own: mine (priority 0)",
        "torchrun --nproc_per_node=2 -m tests.fake_trainable --width 3 --seed 42 --no-shuffle --temperature=-0.5 "
        "--save-dir digits_runs/own-s42-01234567",
    ]


def test_flags_name_what_differs_from_a_base_in_the_given_order() -> None:
    base = AirbenchConfig(dataset="cifar10")
    assert flags(base, base) == []
    assert flags(replace(base, lr=2.0, whiten=False), base, ("lr",), ("seed",)) == [
        *("--lr", "2.0", "--no-whiten", "--seed", "0"),
    ]
