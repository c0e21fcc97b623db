"""The installed Ray has every private name that is used, and a Ray that lacks one is noticed."""

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from raysweep.ray_internals import check
from raysweep.ray_internals.check import fault, lost, notice
from raysweep.ray_internals.names import TRIED, Feature, PrivateName
from raysweep.ray_internals.single_names import (
    ENVIRONMENT,
    NEEDED,
    SOCKETS,
    mlflow_runs,
    next_to_nothing,
    on_loopback,
    without_restarts,
)
from raysweep.ray_internals.table import NAMES
from raysweep.running.cluster import prepare_own_environment
from tests.conftest import ROOT

PARTS = ("_internal", "_private", "_common", "v2", "_raylet")
INTERNAL_MODULES = ("ray.tune.execution",)


@pytest.fixture(autouse=True)
def _environment() -> None:
    prepare_own_environment()  # before Ray is imported, for the clusters of later tests


@pytest.fixture
def fresh() -> Iterator[None]:
    """What is known of this Ray is found out again, within the test and after it."""
    check._is_possible.cache_clear()
    yield
    check._is_possible.cache_clear()


@pytest.mark.parametrize("needed", NAMES, ids=lambda needed: f"{needed.module}.{needed.name}")
def test_ray_has_the_private_name_as_it_is_used(needed: PrivateName) -> None:
    wrong = fault(needed)
    assert not wrong, f"{wrong}; without this name ({needed.purpose}) {needed.feature.value}"


def test_the_features_are_there_and_each_hangs_on_some_name() -> None:
    assert {needed.feature for needed in NAMES} == set(Feature)
    assert lost(*Feature) == set()


def imported_from_ray(file: Path) -> Iterator[tuple[str, str]]:
    """Modules of Ray, with the names that a file imports from them."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "ray":
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "ray")


def is_private(module: str, name: str) -> bool:
    internal = any(part in PARTS for part in module.split(".")) or module.startswith(INTERNAL_MODULES)
    return internal or name.startswith("_")


def test_private_names_are_imported_behind_the_door_alone_and_stand_in_the_table() -> None:
    known = {f"{needed.module}.{needed.name}" for needed in NAMES}
    behind, outside = set(), []
    for file in (ROOT / "raysweep").rglob("*.py"):
        for module, name in imported_from_ray(file):
            if not is_private(module, name):
                continue
            if file.parent.name == "ray_internals":
                behind.add(f"{module}.{name}")
            else:
                outside.append(f"{file.relative_to(ROOT)}: {module}.{name}")
    assert outside == []
    assert len(behind) > 10
    unknown = {name for name in behind if not any(one == name or one.startswith(f"{name}.") for one in known)}
    assert unknown == set()


def test_ray_reads_the_environment_variables_that_it_does_not_document() -> None:
    import ray

    folder = Path(ray.__file__).parent
    binary = (folder / "core/src/ray/raylet/raylet").read_bytes()
    python = "".join(
        (folder / name).read_text()
        for name in (
            "_private/ray_constants.py",
            "_private/accelerators/accelerator.py",
            "train/v2/_internal/constants.py",
        )
    )
    for name in (*ENVIRONMENT, *NEEDED, SOCKETS):
        of_the_core = name.removeprefix("RAY_")
        assert f'"{name}"' in python or (of_the_core.islower() and of_the_core.encode() in binary), name


def example(**needs: object) -> PrivateName:
    """A name of this file, with what it needs."""
    return replace(NAMES[0], **{"module": __name__, "name": "function", "takes": None, "overridden": False, **needs})


def function(one: int, two: int = 0, *rest: int, **more: int) -> str:
    return "".join(f"{_mentioned} {a_name}" for _mentioned in (one, two))  # noqa: F821


CONSTANT = "value"


@pytest.mark.parametrize(
    ("needs", "wrong"),
    [
        ({"takes": ("one",)}, ""),
        ({"takes": ("one", "two")}, ""),
        ({"takes": ("two",)}, "demands one"),
        ({"takes": ("one", "three")}, "does not take three"),
        ({"takes": ("one", "two"), "overridden": True}, "takes one, two, *, ** instead of one, two"),
        ({"takes": ("one", "two", "*", "**"), "overridden": True}, ""),
        ({"mentions": ("a_name", "join")}, ""),
        ({"mentions": ("another_name",)}, "does not mention another_name"),
        ({"name": "CONSTANT", "value": "value"}, ""),
        ({"name": "CONSTANT", "value": "another"}, "is 'value' instead of 'another'"),
        ({"name": "CONSTANT", "takes": ()}, "has no signature"),
        ({"name": "function.missing"}, "has no function.missing"),
        ({"module": "ray.no_such_module"}, "ray.no_such_module has no function"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(needs: dict[str, object], wrong: str) -> None:
    found = fault(example(**needs))
    assert found.endswith(wrong)
    assert bool(found) == bool(wrong)


@pytest.mark.usefixtures("fresh")
def test_a_method_that_ray_changes_costs_its_own_feature_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup

    monkeypatch.delattr(WorkerGroup, "_init_train_context_on_workers")
    assert lost(*Feature) == {Feature.LOCAL_TRAINER}
    said = notice(lost(*Feature))
    assert said == (
        f"Ray {ray.__version__} is not built as Ray {TRIED}, which this was made for: {Feature.LOCAL_TRAINER.value}"
    )


@pytest.mark.usefixtures("fresh")
def test_a_parameter_that_ray_adds_to_what_is_overridden_costs_the_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.tune.execution.tune_controller import _ObjectCache

    def flush_cached_objects(self: object, force_all: bool = False, younger_than: float = 0.0) -> None:
        """As a later Ray might have it."""

    monkeypatch.setattr(_ObjectCache, "flush_cached_objects", flush_cached_objects)
    assert lost(*Feature) == {Feature.KEPT_PROCESSES}


@pytest.mark.usefixtures("fresh")
def test_where_a_name_is_missing_its_user_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The callback for W&B keeps the loggers of Ray, which are to be restarted without end."""
    callback = SimpleNamespace(_remote_logger_class=None, _logger_actor_cls=object)
    assert next_to_nothing() == {"node:__internal_head__": 0.001}
    assert on_loopback() == {"_node_ip_address": "127.0.0.1"}
    monkeypatch.setattr(check, "fault", lambda needed: f"no {needed.name}")
    check._is_possible.cache_clear()
    assert next_to_nothing() == {"CPU": 0.001}
    assert on_loopback() == {}
    without_restarts(callback, num_cpus=0)
    assert callback._remote_logger_class is None
    assert mlflow_runs(SimpleNamespace()) is None


def test_without_private_modules_everything_can_be_imported() -> None:
    """In a process of its own, where two of Ray's modules cannot be imported."""
    code = inspect.cleandoc(
        """
        import sys
        import ray.train, ray.tune, ray.tune.integration.ray_train
        for name in ("ray.train.v2._internal.callbacks.state_manager", "ray.tune.execution.tune_controller"):
            sys.modules[name] = None
        import raysweep.running.driver, raysweep.running.launcher, raysweep.session
        from raysweep.ray_internals import Feature, lost
        print(sorted(feature.name for feature in lost(*Feature)))
        """
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.stdout.splitlines()[-1:] == ["['KEPT_PROCESSES', 'LOCAL_TRAINER']"], done.stderr


def test_the_door_itself_imports_no_ray() -> None:
    code = "import sys; from raysweep.ray_internals import Feature, lost, ENVIRONMENT; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
