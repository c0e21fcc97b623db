"""What breaks the contract of a trainable is told in one line; the project's own trainables keep it."""

import importlib
import inspect
import itertools
import subprocess
import sys
from dataclasses import asdict, dataclass, replace

import pytest

from benchmarks.sleeper import SleeperConfig
from raysweep.experiment import Experiment, Family
from raysweep.ledger.opening import open_ledger
from raysweep.messages import PlanError
from raysweep.planning.commands import flags
from raysweep.planning.runs import make_runs
from raysweep.trainable import OptionalHooks, Trainable, Traits
from raysweep.trainable_loader import TrainableError, load_trainable
from tests.conftest import ROOT
from tests.fake_trainable import FakeConfig
from tests.faulty_trainable import GOOD, REPORTS, FaultyConfig, changed, without
from tests.planned_trainable import PlannedConfig
from tests.trainables.training import SMALL
from trainables.airbench import ABLATIONS
from trainables.scattering import ScatteringConfig, checkpoint

SHORT = {"epochs": 0.02, "freeze_epochs": 0.01, "batch_size": 16, "precision": "float32"}
CONFIGS = {
    "trainables.scattering": ScatteringConfig(**SMALL, lr_epochs=1, epochs=1),
    "trainables.airbench": replace(ABLATIONS["freeze"], dataset="digits", **SHORT),
    "tests.fake_trainable": FakeConfig(seconds=0.0),
    "tests.planned_trainable": PlannedConfig(),
    "tests.faulty_trainable": FaultyConfig(),
    "benchmarks.sleeper": SleeperConfig(seconds=0.0),
}
CONTRACT = {**vars(Trainable), **vars(OptionalHooks)}
HOOKS = [name for name, hook in CONTRACT.items() if inspect.isfunction(hook) and hook.__doc__]
NAMES = itertools.count()


@dataclass(frozen=True, kw_only=True)
class UsersConfig:
    seed: int = 0
    width: int = 8
    save_dir: str = ""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a module that defines the required functions, and more. Returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(more: str, whole: bool = True) -> str:
        name = f"users_trainable_{next(NAMES)}"
        required = 'def check(config, num_workers):\n    return {"data": "d", "numerics": 1}\ndef train(config): ...\n'
        (tmp_path / f"{name}.py").write_text(required * whole + more)
        importlib.invalidate_caches()
        return name

    return write


def told(call) -> str:
    """The line of the error that a call ends with."""
    with pytest.raises(TrainableError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("path", CONFIGS)
def test_trainables_keep_the_contract(path, tmp_path):
    """Each function has the arguments of the contract, and gives what it says; nothing here is left unchecked."""
    trainable, config = load_trainable(path), replace(CONFIGS[path], save_dir=str(tmp_path))
    module = importlib.import_module(path)
    for name in (name for name in HOOKS if trainable.has(name)):
        wanted = list(inspect.signature(CONTRACT[name]).parameters)[1:]
        assert list(inspect.signature(getattr(module, name)).parameters) == wanted, name
    assert trainable.check(config, 1)["data"]
    assert isinstance(trainable.traits, Traits)
    assert trainable.position(config) is None
    trainable.command([config], 1, flags)
    for remedy in trainable.remedies(config, 1):
        trainable.check(replace(config, **remedy["changes"]), 1)
    if trainable.has("cost"):
        assert trainable.cost(config, 1, "cpu")["memory_bytes"] > 0
    reports = list(trainable.train(config))
    assert (reports[0]["event"], reports[-1]["event"]) == ("start", "result")
    assert [report["event"] for report in trainable.train(config)][-1] == "result", "again, with what is there"


def test_what_has_defaults_is_filled_in(written):
    trainable = load_trainable(written(""))
    assert trainable.traits == Traits()
    assert asdict(Traits())["checkpoints"] == (checkpoint.LAST, checkpoint.BEST)
    assert load_trainable("trainables.scattering").traits.longer == ("epochs", "lr_epochs")
    one = '{"phase": "train", "epochs": 2.5, "train_images": 7}'
    facts = f'def check(config, num_workers):\n    return {{"data": "d", "numerics": 1, "phases": [{one}]}}\n'
    (phase,) = load_trainable(written(facts)).check(UsersConfig(), 1)["phases"]
    given = {"phase": "train", "epochs": 2.5, "train_images": 7, "least_epochs": 2.5, "cached": False}
    assert phase == {**given, "validation_images": 0, "validation_images_once": 0}
    assert [trainable.has(name) for name in ("cost", "measure")] == [False, False]
    assert trainable.cost(UsersConfig(), 1, "cpu") is trainable.command([UsersConfig()], 1, flags) is None
    assert trainable.remedies(UsersConfig(), 1) == []


@pytest.mark.parametrize("path", ["trainables.scattering", "trainables.airbench"])
def test_what_plans_ask_of_a_trainable_loads_no_torch(path):
    code = (
        "import sys, tests.conftest; from raysweep.trainable_loader import load_trainable;"
        f"t = load_trainable({path!r}); from {path} import config;"
        "c = {'trainables.scattering': 'ScatteringConfig', 'trainables.airbench': 'AirbenchConfig'}"
        f"; c = getattr(config, c[{path!r}])(dataset='digits');"
        f"[t.has(name) for name in {HOOKS}], t.traits, t.check(c, 1), t.remedies(c, 1);"
        "assert not {'torch', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_module_that_is_not_there_is_named_with_the_nearest():
    missing = "there is no trainable trainables.scatering; did you mean 'trainables.scattering'?"
    assert told(lambda: load_trainable("trainables.scatering")) == missing
    assert told(lambda: load_trainable("nowhere.at.all")) == "there is no trainable nowhere.at.all"


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("x = 1\nx / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("\n\nimport not_installed\n", 3, "No module named 'not_installed'"),
        ("def check(config, num_workers:\n", 1, "SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError: Expecting property name"),
    ],
)
def test_what_a_module_raises_is_told_with_file_and_line(written, tmp_path, source, line, said):
    name = written(source, whole=False)
    text = told(lambda: load_trainable(name))
    assert text.startswith(f"trainable {name} cannot be imported: ")
    assert said in text
    assert text.endswith(f"({tmp_path / name}.py:{line})")


def test_required_functions_are_asked_for(written):
    name = written("def check(config, num_workers): ...\n", whole=False)
    assert told(lambda: load_trainable(name)) == f"trainable {name} does not define train (see raysweep.trainable)"


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        ("None", "it is None, not a dict"),
        ("{'data': 'd'}", "it lacks 'numerics'"),
        ("{'data': 'd', 'numeric': 1}", "it lacks 'numerics'; did you mean 'numeric'?"),
        ("{'data': 'd', 'numerics': '1'}", "numerics is '1', not a whole number"),
        ("{'data': 'd', 'numerics': True}", "numerics is True, not a whole number"),
        ("{'data': None, 'numerics': 1}", "data is None, not a string"),
        ("{'data': 'd', 'numerics': 1, 'rate_fields': 'width'}", "rate_fields is 'width', not a list"),
        (
            "{'data': 'd', 'numerics': 1, 'no_effect': ['widht']}",
            "no_effect: UsersConfig has no field 'widht'; did you mean 'width'?",
        ),
        ("{'data': 'd', 'numerics': 1, 'phases': [{'phase': 'a', 'epochs': 1}]}", "phases[0] lacks 'train_images'"),
        (
            "{'data': 'd', 'numerics': 1, 'phases': [{'phase': 'a', 'epochs': float('nan'), 'train_images': 1}]}",
            "phases[0].epochs is nan, not a finite number",
        ),
        ("{'data': 'd', 'numerics': 1, 'steps': {1}}", "steps is a set, not a plain value of Python"),
    ],
)
def test_wrong_facts_end_the_plan(written, tmp_path, facts, wrong):
    name = written(f"def check(config, num_workers):\n    return {facts}\n")
    experiment = Experiment(name="users", config=UsersConfig(), trainable=name)
    family = Family(name="f", dataset="d", experiments=(experiment,), groups=(), questions=(), grid=lambda _: ([], []))
    with pytest.raises(PlanError) as error:
        make_runs([experiment], open_ledger(tmp_path / "results"), family=family, overrides={})
    assert str(error.value) == f"users: {name}: check: {wrong}"


@pytest.mark.parametrize(
    ("source", "call", "wrong"),
    [
        (
            "def check(c, n): return c.widht",
            lambda t: t.check(UsersConfig(), 1),
            "check: AttributeError: 'UsersConfig'",
        ),
        ("def cost(*_): return {}", lambda t: t.cost(UsersConfig(), 1, "cpu"), "cost: it lacks 'flops_forward'"),
        ("def measure(*_): return {'a': None}", lambda t: t.measure(UsersConfig(), 1), "measure: a is None, not a fin"),
        ("def position(c): return 'head'", lambda t: t.position(UsersConfig()), "position: it is 'head', not a list"),
        (
            "def position(c): return 'head', 1, 2",
            lambda t: t.position(UsersConfig()),
            "position: it has 3 parts, not 2",
        ),
        ("def command(*_): return 'ls'", lambda t: t.command([], 1, flags), "command: it is 'ls', not a list"),
        (
            "def remedies(*_): return [{'changes': {'wdth': 1}}]",
            lambda t: t.remedies(UsersConfig(), 1),
            "remedies: UsersConfig has no field 'wdth'; did you mean 'width'?",
        ),
        ("TRAITS = {'longr': ()}", lambda t: t.traits, "TRAITS: unknown name 'longr'; did you mean 'longer'?"),
        ("TRAITS = {'longer': 'width'}", lambda t: t.traits, "TRAITS: longer is 'width', not a list"),
        (
            "TRAITS = {'batch_parts': 'parts'}",
            lambda t: t.check(UsersConfig(), 1),
            "TRAITS: batch_parts: UsersConfig has no field 'parts'",
        ),
        (
            "TRAITS = {'batch_parts': 'width'}",
            lambda t: t.check(UsersConfig(), 1),
            "TRAITS: batch_parts: 'width' of UsersConfig is not marked as cosmetic",
        ),
    ],
)
def test_wrong_answers_of_other_functions_are_told(written, source, call, wrong):
    name = written(source)
    assert told(lambda: call(load_trainable(name))).startswith(f"{name}: {wrong}")


def test_what_check_says_to_people_goes_through(written):
    name = written("def check(config, num_workers):\n    raise ValueError('width=8 is odd')\n")
    with pytest.raises(ValueError, match=r"^width=8 is odd$"):
        load_trainable(name).check(UsersConfig(), 1)


@pytest.mark.parametrize(
    ("reports", "wrong"),
    [
        ([], "train: its reports end without 'result' or 'stopped'"),
        ([GOOD["start"]], "train: its reports end without 'result' or 'stopped'"),
        ([3.5], "a report: it is 3.5, not a dict"),
        ([{"evnt": "start"}], "a report: its event is None; known are start, progress, epoch, result, stopped"),
        (changed("epoch", event="epcoh"), "a report: its event is 'epcoh'; did you mean 'epoch'?"),
        ([GOOD["epoch"]], "event 'epoch': it comes before 'start'"),
        (without("epoch", "phase"), "event 'epoch': it lacks 'phase'"),
        (
            [GOOD["start"], {"event": "epoch", "phase": "a", "epoch": 1, "epochs": 2, "image_per_second": 1.0}],
            "event 'epoch': it lacks 'images_per_second'; did you mean 'image_per_second'?",
        ),
        (changed("epoch", epoch=1.0), "event 'epoch': epoch is 1.0, not a whole number"),
        (changed("epoch", epochs=float("inf")), "event 'epoch': epochs is inf, not a finite number"),
        (changed("epoch", val_acc=None), "event 'epoch': val_acc is None, not a number"),
        (changed("epoch", data_wait="31 %"), "event 'epoch': data_wait is '31 %', not a finite number"),
        (changed("epoch", my_acc=1j), "event 'epoch': my_acc is a complex, not a plain value of Python"),
        (changed("epoch", pid=1), "event 'epoch': raysweep and Ray add a field 'pid' of their own"),
        (changed("start", resumed_at=["a", 1]), "event 'start': resumed_at has 2 parts, not 3"),
        (changed("result", results=[]), "event 'result': results is a list, not a dict"),
        (changed("result", results={"seconds": "1"}), "event 'result': results.seconds is '1', not a finite number"),
        (changed("result", results={"loaders": 1.5}), "event 'result': results.loaders is 1.5, not a whole number"),
        (changed("result", results={3: 1.0}), "event 'result': results has the key 3, not a string"),
        (changed("result", curves={"a": [1.0]}), "event 'result': curves.a[0] is 1.0, not a dict"),
        (
            REPORTS["number of numpy's"](),
            "event 'result': results.head[0].acc is a numpy.float32, not a plain value of Python (its .item() is)",
        ),
        (
            [*GOOD.values(), GOOD["epoch"]],
            "event 'epoch': it comes after 'result', which is the last report of a run",
        ),
    ],
)
def test_reports_are_checked_before_they_are_handed_on(monkeypatch, reports, wrong):
    monkeypatch.setitem(REPORTS, "told", lambda: reports)
    train = load_trainable("tests.faulty_trainable").train
    assert told(lambda: list(train(FaultyConfig(fault="told")))) == f"tests.faulty_trainable: {wrong}"


def test_metrics_of_ones_own_and_undefined_measurements_are_taken(monkeypatch):
    own = {"train_loss": float("nan"), "my_metric": 0.5, "by_class": [1.0, None], "note": "warm"}
    reports = [GOOD["start"], {**GOOD["epoch"], **own}, {"event": "result", "results": {**own, "final_acc": 3}}]
    monkeypatch.setitem(REPORTS, "own", lambda: reports)
    assert list(load_trainable("tests.faulty_trainable").train(FaultyConfig(fault="own"))) == reports


def test_what_training_raises_goes_through_as_it_is(tmp_path):
    reports = load_trainable("tests.fake_trainable").train(FakeConfig(crash="diverges", save_dir=str(tmp_path)))
    with pytest.raises(FloatingPointError, match=r"^the loss is nan in epoch 1$"):
        list(reports)
