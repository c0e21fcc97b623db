import ast
import logging
import math
from dataclasses import fields, replace

import pytest

from raysweep.experiment import Filter
from raysweep.ledger.opening import open_ledger
from raysweep.planning.runs import make_runs
from raysweep.running.cluster import prepare_own_environment
from run_sweep import main
from search_spaces import airbench, cifar_scattering, families, imagenet_scattering
from search_spaces.axes import points, tune_space
from tests.conftest import ROOT
from trainables.scattering import ScatteringConfig

# The experiments' document: blocks, L, modulus, horizon, train size; channels, size, classifier without and with GAP.
TABLE = {
    "A": (5, 4, "complex_modulus", None, 1.0, 1875, 7, 92e6, 1.9e6),
    "B": (5, 4, "complex_modulus", 27, 1.0, 1875, 7, 92e6, 1.9e6),
    "C": (4, 4, "complex_modulus", None, 1.0, 375, 14, 73.5e6, 375e3),
    "D": (5, 8, "complex_modulus", 27, 1.0, 19683, 7, 964e6, 19.7e6),
    "E": (4, 8, "complex_modulus", 27, 1.0, 2187, 14, 429e6, 2.2e6),
    "F": (4, 4, "phase_relu", None, 1.0, 375, 14, 73.5e6, 375e3),
    "G": (5, 8, "phase_relu", 27, 1.0, 19683, 7, 964e6, 19.7e6),
    "H": (4, 4, "complex_modulus", None, 0.1, 375, 14, 73.5e6, 375e3),
    "I": (4, 4, "complex_modulus", None, 0.3, 375, 14, 73.5e6, 375e3),
}

PLACES = {
    **{"C": ("depth", 0), "A": ("depth", 1), "B": ("depth", 4), "E": ("orientations", 2), "D": ("orientations", 4)},
    **{"F": ("modulus", 1), "G": ("modulus", 4), "H": ("data-efficiency", 3), "I": ("data-efficiency", 3)},
}
"""Group and priority of each experiment of that document."""

IMAGENET = {e.name: e for e in imagenet_scattering.FAMILY.experiments}
CIFAR = {e.name: e for e in cifar_scattering.FAMILY.experiments}


@pytest.mark.parametrize("name", TABLE)
def test_experiments_are_those_of_the_document(name):
    blocks, L, modulus, horizon, train_size, *_ = TABLE[name]
    config = IMAGENET[name].config
    assert (config.n_blocks, config.L, config.modulus_type) == (blocks, L, modulus)
    assert (config.mixing_horizon, config.train_size) == (horizon, train_size)
    assert config.lowpass_last
    assert not config.global_avg_pool
    assert (config.kernel_size, config.global_batch_size, config.lr_epochs, config.epochs) == (7, 1024, 20, 100)
    assert (config.dataset, IMAGENET[name].num_workers) == ("imagenet", 8)


@pytest.mark.parametrize("name", TABLE)
def test_sizes_are_those_of_the_documents_second_table(name):
    *_, channels, size, weights, pooled = TABLE[name]
    config = IMAGENET[name].config
    assert config.final_channels() == channels
    assert config.final_size(224) == size
    # 92M, 73.5M, 375K: rounded to the digits that the table shows.
    for found, shown in (
        (config.n_classifier_weights(224, 1000), weights),
        (replace(config, global_avg_pool=True).n_classifier_weights(224, 1000), pooled),
    ):
        unit = 1e3 if shown < 1e6 else 1e6
        digits = 1 if round(shown / unit, 1) != round(shown / unit) else 0
        assert round(found / unit, digits) == pytest.approx(shown / unit)


@pytest.mark.parametrize("name", PLACES)
def test_priorities_and_groups_are_those_of_the_document(name):
    group, priority = PLACES[name]
    assert IMAGENET[name].priority == priority
    homes = {g.name for g in imagenet_scattering.FAMILY.groups if name in g.experiments}
    assert homes & {"all", *(group for group, _ in PLACES.values())} == {group, "all"}


def test_all_runs_in_priority_order(tmp_path):
    family = imagenet_scattering.FAMILY
    shuffled = sorted(family.experiments, key=lambda e: e.name)
    digits = {"dataset": "digits", "data_dir": None, "global_batch_size": 128}
    runs = make_runs(shuffled, open_ledger(tmp_path), family=family, overrides=digits)
    known = [run for run in runs if run.experiment.name in TABLE]
    assert [run.experiment.name for run in known] == ["C", "A", "F", "E", "H", "I", "B", "D", "G"]
    assert [run.group for run in known][:3] == ["depth", "depth", "modulus"]
    assert [run.experiment.priority for run in runs] == sorted(run.experiment.priority for run in runs)


def test_questions_are_those_of_the_document():
    questions = imagenet_scattering.FAMILY.questions
    named = [q for q in questions if all(isinstance(arm, str) for arm in (q.baseline, *q.arms))]
    asked = {(q.baseline, q.arms) for q in named}
    assert asked >= {
        ("C", ("A",)),
        ("A", ("B",)),
        ("C", ("E",)),
        ("A", ("D",)),
        ("C", ("F",)),
        ("D", ("G",)),
        ("", ("H", "I", "C")),
    }


def matches(config, arm):
    return all(getattr(config, name) == value for name, value in arm.fields.items())


def test_the_runs_that_isolate_are_those_that_a_question_asks_about():
    grids = {"orientations_4b": {"L": (8,)}, "orientations_5b": {"n_blocks": (5,), "L": (4, 8), "mixing_horizon": (3,)}}
    asked = {q.name: q for q in imagenet_scattering.QUESTIONS}
    for name, axes in grids.items():
        experiments, left_out = imagenet_scattering.grid(axes)
        assert not left_out
        alone = asked[f"{name}_alone"]
        filters = [arm for arm in (alone.baseline, *alone.arms) if isinstance(arm, Filter)]
        assert [sum(matches(e.config, arm) for e in experiments) for arm in filters] == [1] * len(experiments)


def test_questions_ask_about_runs_that_exist():
    for family in families():
        experiments = {e.name: e for e in family.experiments}
        for question in family.questions:
            for arm in (question.baseline, *question.arms):
                if isinstance(arm, Filter):
                    there = any(matches(e.config, arm) for e in family.experiments)
                    assert there != question.name.endswith("_alone")  # no pair of A to I is alone in L
                elif arm:
                    assert arm in experiments
        for group in family.groups:
            assert set(group.experiments) <= experiments.keys()


def test_questions_name_what_their_arms_differ_in():
    """But for L, of which no pair of A to I differs in nothing else."""
    for family in families():
        configs = {e.name: e.config for e in family.experiments}
        for question in family.questions:
            if question.kind in ("target", "search") or not all(isinstance(a, str) for a in question.arms):
                continue
            base = configs[question.baseline or question.arms[0]]
            for arm in question.arms:
                names = {f.name for f in fields(base) if getattr(base, f.name) != getattr(configs[arm], f.name)}
                further = {"mixing_horizon"} if question.factor == ("L",) else set()
                assert names <= {*question.factor, *further}
                assert not further or (further <= names and "No pair of A to I isolates L" in question.note)


def test_the_runs_that_isolate_orientations_do():
    """Of the runs that a confounded question names, the horizons in force are the same, or there is none in both."""
    grids = {"orientations_4b": ({}, {"L": 8}), "orientations_5b": ({"n_blocks": 5, "mixing_horizon": 3},) * 2}
    asked = {q.name: q for q in imagenet_scattering.QUESTIONS}
    assert asked["orientations_4b"].isolated_by == "--group all --grid L=8"
    assert asked["orientations_5b"].isolated_by == "--group all --grid n_blocks=5 L=4,8 mixing_horizon=3"
    for name, (one, other) in grids.items():
        four = replace(imagenet_scattering.BASE, **one, L=4)
        eight = replace(imagenet_scattering.BASE, **{**other, "L": 8})
        if name == "orientations_4b":
            assert four == IMAGENET["C"].config
        for config in (four, eight):
            horizons = {(s.mixing_horizon, s.mixing_horizon == s.in_channels) for s in config.block_shapes()}
            assert (
                {full for _, full in horizons} == {True}
                if name == "orientations_4b"
                else {h for h, _ in horizons} == {3}
            )
    in_force = {
        name: max(s.mixing_horizon for s in IMAGENET[name].config.block_shapes() if s.groups > 1) for name in "BD"
    }
    assert in_force == {"B": 75, "D": 27}


def test_cifar_is_the_authors_grid():
    sizes = {"s05": 0.05, "s10": 0.1, "s15": 0.15, "s20": 0.2, "s30": 0.3, "s50": 0.5, "s100": 1.0}
    expected = {
        f"{architecture}{init}_{size}"
        for architecture in ("3b_cmod_L4", "4b_cmod_L4_h27")
        for init in ("", "_rand")
        for size in sizes
    }
    assert set(CIFAR) >= expected
    for name in expected:
        experiment, config = CIFAR[name], CIFAR[name].config
        assert config.train_size == sizes[name.rpartition("_")[2]]
        assert experiment.seeds == (42, 43, 44, 45, 46)
        assert config.random_init == config.joint == ("rand" in name)
        assert config.epochs == (180 if config.joint else 150)
        assert (config.kernel_size, config.global_batch_size, config.lr_epochs) == (5, 128, 20)
        deep = name.startswith("4b")
        assert (config.mixing_horizon, config.lowpass_last) == ((27, True) if deep else (None, False))


def resolved_by_ray(space, how):
    """The points of a space, as Ray's own code resolves it by itself, or for a Tuner."""
    prepare_own_environment()  # which Ray reads when this process imports it, for the tests of clusters to come
    from ray import tune
    from ray.tune.search.basic_variant import BasicVariantGenerator
    from ray.tune.search.variant_generator import generate_variants

    if how == "alone":
        return [dict(variant) for _, variant in generate_variants(space)]
    trials = BasicVariantGenerator()
    trials.add_configurations([tune.Experiment("own", run=lambda config: None, config=space, storage_path="/nowhere")])
    return [trial.config for trial in iter(trials.next_trial, None)]


@pytest.mark.parametrize("how", ["alone", "in a Tuner"])
@pytest.mark.parametrize("module", [imagenet_scattering, cifar_scattering, airbench])
def test_the_axes_are_a_ray_tune_space_that_resolves_without_a_warning(module, how, caplog):
    """Ray's own resolution of the space gives exactly the points that the family enumerates."""
    with caplog.at_level(logging.WARNING):
        resolved = resolved_by_ray(module.space(), how)
    assert not caplog.records
    expected = points(module.AXES, getattr(module, "FOLLOWS", {}))
    assert len(resolved) == len(expected) == math.prod(map(len, module.AXES.values()))
    assert all(point in resolved for point in expected)
    for point in resolved:
        replace(module.BASE, **point)


def test_a_field_may_follow_from_one_that_follows_later():
    """Ray resolves in whatever order it takes; a rule never sees a field that has no value yet."""
    follows = {"last": lambda point: 10 * point["first"], "first": lambda point: point["axis"] + 1}
    for how in ("alone", "in a Tuner"):
        found = resolved_by_ray(tune_space({"axis": (1, 2)}, follows), how)
        assert found == [{"axis": n, "first": n + 1, "last": 10 * (n + 1)} for n in (1, 2)]


def test_a_grid_names_its_points():
    experiments, left_out = cifar_scattering.grid({"n_blocks": (3, 4), "L": (4, 8), "train_size": (0.1, 5000.0)})
    assert not left_out
    assert {e.name for e in experiments} == {
        *("3b_cmod_L4_s10", "3b_cmod_L8_s10", "4b_cmod_L4_h27_s10", "4b_cmod_L8_h27_s10"),
        *("3b_cmod_L4_n5000", "3b_cmod_L8_n5000", "4b_cmod_L4_h27_n5000", "4b_cmod_L8_h27_n5000"),
    }
    experiments, _ = imagenet_scattering.grid({"n_blocks": (4, 5), "global_avg_pool": (False, True)})
    assert [e.name for e in experiments] == [
        *("C", "4b_cmod_L4_global_avg_pool_s100", "A", "5b_cmod_L4_global_avg_pool_s100")
    ]
    assert [e.priority for e in experiments] == [0, 1, 1, 2]


def test_names_of_a_grid_are_unique_and_fit_file_names():
    values = {"n_blocks": (2, 3), "weight_decay": (0.0, 1e-4), "lr_head": (0.01,), "lowpass_last": (False, True)}
    for module in (cifar_scattering, imagenet_scattering):
        names = [e.name for e in module.grid(values)[0]]
        assert len(set(names)) == len(names) == 8
        assert all(
            set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.-") for name in names
        )


def test_impossible_combinations_are_left_out_with_the_reason(capsys, tmp_path):
    _, left_out = cifar_scattering.grid({"kernel_size": (4, 5)})
    assert len(left_out) == 1
    assert "kernel_size=4 must be odd" in left_out[0]
    results = str(tmp_path / "results")
    with pytest.raises(SystemExit):
        main(["--group", "cifar", "--grid", "n_blocks=3,6", "--num-workers", "999", "--results", results])
    assert "999" in capsys.readouterr().err


def test_search_spaces_import_nothing_of_ray_but_tune():
    for file in (ROOT / "search_spaces").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "ray" for alias in node.names)
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray":
                assert node.module == "ray"
                assert [alias.name for alias in node.names] == ["tune"]


def test_a_config_of_the_family_can_be_made_from_its_base():
    assert IMAGENET["C"].config == imagenet_scattering.BASE
    assert isinstance(cifar_scattering.BASE, ScatteringConfig)


def test_airbench_groups_are_the_authors_steps_and_switches():
    groups = {g.name: g.experiments for g in airbench.FAMILY.groups}
    steps = ("baseline", "whiten", "dirac", "scalebias", "freeze", "lookahead", "tta", "mirror", "compile")
    assert groups["airbench-cascade"] == steps
    assert groups["airbench-speed"] == ("mirror", "compile", "muon")
    assert {"fastbn", "fastbn_lrsched", "lookahead_on_freeze"} <= set(groups["airbench-open"])
    configs = {e.name: e.config for e in airbench.FAMILY.experiments}
    # All switches on is the whole method, all off the baseline at another number of epochs.
    assert configs["all_on"] == configs["mirror"]
    assert replace(configs["all_off"], epochs=35.0) == configs["baseline"]
    assert configs["without_F"] == replace(configs["tta"], epochs=10.8)
    assert configs["only_A"].epochs == 21.0
    assert {c.dataset for c in configs.values()} == {"cifar10"}


def test_airbench_asks_about_each_step_and_about_the_interaction():
    questions = {q.name: q for q in airbench.FAMILY.questions}
    assert (questions["airbench_dirac"].baseline, questions["airbench_dirac"].arms) == ("whiten", ("dirac",))
    interaction = questions["airbench_lookahead_fastbn"]
    configs = {e.name: e.config for e in airbench.FAMILY.experiments}
    base, one, other, both = (configs[name] for name in (interaction.baseline, *interaction.arms))
    assert replace(base, lookahead=True) == one
    assert replace(base, bn_momentum=0.6) == other
    assert replace(base, lookahead=True, bn_momentum=0.6) == both


def test_additivity_takes_each_switch_of_a_setting_once():
    configs = {e.name: e.config for e in airbench.FAMILY.experiments}
    axes = tuple(airbench.AXES)

    def switched_on(name):
        return {axis for axis in axes if getattr(configs[name], axis) == airbench.AXES[axis][1]}

    several = {name for name in airbench.EPOCHS_TO_94 if len(switched_on(name)) > 1}
    assert airbench.ADDITIVE.keys() == several
    for name, (base, *alone) in airbench.ADDITIVE.items():
        added = [switched_on(one) - switched_on(base) for one in alone]
        assert {len(switches) for switches in added} == {1}
        assert len(set.union(*added)) == len(alone)
        assert switched_on(base) | set.union(*added) == switched_on(name)


def test_airbench_grids_take_what_comes_with_a_switch():
    experiments, left_out = airbench.grid({"whiten": (True, False), "epochs": (5.0, -1.0)})
    assert len(left_out) == 2
    assert [(e.config.whiten, e.config.stem, e.config.freeze) for e in experiments] == [
        (True, "bias", True),
        (False, "norm", False),
    ]
