import json
from dataclasses import fields

import pytest

from tests.conftest import DATA
from trainables.airbench import AirbenchConfig
from trainables.cli import UsageError, parse, parse_values
from trainables.scattering import ScatteringConfig
from trainables.scattering.config import num_groups
from trainables.scattering.preflight import check

AUTHORS = json.loads((DATA / "authors_results.json").read_text())


@pytest.mark.parametrize("record", AUTHORS, ids=lambda record: record["config"]["save_dir"].split("/")[-1])
def test_sizes_equal_those_the_authors_report(record):
    names = ("n_blocks", "L", "kernel_size", "modulus_type", "mixing_horizon", "global_avg_pool", "lowpass_last")
    config = ScatteringConfig(**{name: record["config"][name] for name in names})
    results = record["results"]
    assert config.n_params_extractor() == results["n_params_extractor"]
    assert config.n_params_classifier(32, 10) == results["n_params_classifier"]
    for shape, row in zip(config.block_shapes(), results.get("block_summary", []), strict=False):
        assert (shape.in_channels, shape.out_channels) == (row["in_channels"], row["out_channels"])
        assert (shape.mixing_horizon, shape.lowpass_only) == (row["mixing_horizon"], row["lowpass_only"])


@pytest.mark.parametrize(
    ("channels", "asked", "in_force"),
    [(75, None, 75), (75, 27, 75), (375, 27, 75), (1875, 27, 75), (243, 27, 27), (3, 1, 1)],
)
def test_horizon_in_force(channels, asked, in_force):
    assert channels // num_groups(channels, asked) == in_force


def test_the_number_of_groups_is_the_largest_divisor_that_leaves_the_horizon():
    for channels in (*range(1, 60), 75, 243, 375, 1875, 19683):
        for horizon in (1, 2, 3, 7, 27, 40, channels):
            groups = max(1, channels // horizon)
            while channels % groups:
                groups -= 1
            assert num_groups(channels, horizon) == groups


def test_no_number_is_without_bounds():
    """Of each field, what no machine and no file of results could hold is refused by its name."""
    for config in (ScatteringConfig, AirbenchConfig):
        for field in fields(config):
            if field.type in (int, float, int | None) and field.name not in UNBOUNDED:
                with pytest.raises(ValueError, match=rf"^{field.name}="):
                    config(**{field.name: (10**30 if "int" in str(field.type) else 1e308)})


UNBOUNDED = {
    # bounded by the number of training images, which the configuration does not know
    "train_size",
    # any finite number is possible, since nothing is made or counted by it
    *("lr_head", "lr_extractor", "l2_penalty", "weight_decay", "feature_cache_gb", "checkpoint_minutes"),
    *("lr_start", "lr_end", "freeze_epochs", "lookahead_epochs"),
}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_size": 6}, "kernel_size=6 must be odd; the nearest are 5 or 7"),
        ({"kernel_size": 1}, "at least 3"),
        ({"n_blocks": 0}, "n_blocks=0 must be at least 1"),
        ({"train_size": 0.0}, "train_size=0.0 must be a fraction"),
        ({"train_size": 10.5}, "train_size=10.5 must be a fraction"),
        ({"train_size": float("nan")}, "train_size=nan"),
        ({"val_split": 1.0}, "val_split=1.0 must be in"),
        ({"epochs": 0, "lr_epochs": 0}, "nothing to train"),
        ({"epochs": 0, "joint": True}, "nothing to train"),
        ({"epochs": -1}, "epochs=-1 must be at least 0"),
        ({"mixing_horizon": 0}, "mixing_horizon=0 must be at least 1"),
        ({"lr_head": float("nan")}, "lr_head=nan must be at least 0"),
    ],
)
def test_impossible_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        ScatteringConfig(**fields)


def test_phases():
    assert ScatteringConfig(epochs=5).phases == ("head", "finetune")
    assert ScatteringConfig(epochs=5).head_epochs == 5
    assert ScatteringConfig(epochs=0, lr_epochs=3).phases == ("head",)
    assert ScatteringConfig(epochs=5, lr_epochs=0).phases == ("finetune",)
    assert ScatteringConfig(epochs=5, lr_epochs=3, joint=True).phases == ("joint",)


def test_the_seeds_flags_are_understood():
    flags = (
        "--dataset imagenet --data-dir D --n-blocks 5 --L 4 --lowpass-last --mixing-horizon 27 "
        "--modulus-type phase_relu "
        "--global-avg-pool --train-size 0.1 --global-batch-size 1024 --lr-epochs 20 --epochs 100 --save-dir S "
        "--print-freq 200 --kernel-size 7 --random-init --joint --lr-head 0.01 --lr-extractor 0.0002 --l2-penalty 0.5 "
        "--weight-decay 0.001 --patience 7 --workers 3 --seed 5"
    )
    assert parse(ScatteringConfig, flags.split()) == ScatteringConfig(
        dataset="imagenet",
        data_dir="D",
        n_blocks=5,
        L=4,
        lowpass_last=True,
        mixing_horizon=27,
        modulus_type="phase_relu",
        global_avg_pool=True,
        train_size=0.1,
        global_batch_size=1024,
        lr_epochs=20,
        epochs=100,
        save_dir="S",
        print_freq=200,
        kernel_size=7,
        random_init=True,
        joint=True,
        lr_head=0.01,
        lr_extractor=0.0002,
        l2_penalty=0.5,
        weight_decay=0.001,
        patience=7,
        workers=3,
        seed=5,
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--n-block 3", "unknown option --n-block; did you mean '--n-blocks'?"),
        (
            "--modulus-type relu",
            "--modulus-type: 'relu' is none of complex_modulus, phase_relu; did you mean 'phase_relu'?",
        ),
        ("--L four", "--L: invalid literal for int"),
        ("--kernel-size 4", "kernel_size=4 must be odd; the nearest are 3 or 5"),
        ("--epochs", "epochs"),
    ],
)
def test_wrong_flags_are_one_line(flags, message):
    with pytest.raises(UsageError) as error:
        parse(ScatteringConfig, flags.split())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_values_from_text():
    text = {"epochs": "0", "lr_epochs": "none", "lowpass_last": "true", "train_size": "5000", "lr_head": "1e-2"}
    expected = {"epochs": 0, "lr_epochs": None, "lowpass_last": True, "train_size": 5000.0, "lr_head": 0.01}
    assert parse_values(ScatteringConfig, text) == expected


def test_none_is_no_value_only_where_a_field_may_have_none():
    assert parse_values(AirbenchConfig, {"tta": "none", "flip": "none", "data_dir": "none"}) == {
        **{"tta": "none", "flip": "none"},
        "data_dir": None,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epoch", "1", "unknown field 'epoch'; did you mean 'epochs'?"),
        ("epochs", "1.5", "epochs=1.5: invalid literal for int"),
        ("mixing_horizon", "many", "mixing_horizon=many"),
        ("joint", "yes", "joint=yes: expected true or false"),
        ("modulus_type", "complex", "did you mean 'complex_modulus'?"),
    ],
)
def test_wrong_values_are_named_with_the_nearest(name, value, message):
    with pytest.raises(UsageError) as error:
        parse_values(ScatteringConfig, {name: value})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "workers", "message"),
    [
        (
            {"global_batch_size": 128},
            3,
            "global_batch_size=128 is not divisible by 3 workers; the nearest are 126 or 129",
        ),
        ({"global_batch_size": 4}, 4, "fewer than 2 images each"),
        ({"n_blocks": 6}, 1, "the most is 5"),
        ({"train_size": 2000}, 1, "more than the 1438 training images"),
        ({"dataset": "cifar10"}, 1, "needs a data folder"),
        ({"dataset": "digits", "data_dir": "/tmp"}, 1, "take no data folder"),
        ({"image_size": 64}, 1, "digits images have 32 pixels"),
    ],
)
def test_runs_that_cannot_be_are_refused_beforehand(fields, workers, message):
    with pytest.raises(ValueError, match=message):
        check(ScatteringConfig(**fields), workers)
