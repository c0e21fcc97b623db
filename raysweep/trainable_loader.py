"""Loads all trainables, and checks what they return against the contract in `raysweep.trainable`."""

import contextlib
import dataclasses
import functools
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, get_type_hints

from raysweep.messages import PlanError, nearest, one_line
from raysweep.reports import (
    RESERVED,
    EpochReport,
    ProgressReport,
    Report,
    ResultReport,
    StartReport,
    StoppedReport,
)
from raysweep.trainable import Costs, Facts, Phase, Reach, Remedy, Traits
from raysweep.typecheck import not_plain, wrong_with

REQUIRED = ("check", "train")
REPORTS: Mapping[str, Any] = {
    "start": StartReport,
    "progress": ProgressReport,
    "epoch": EpochReport,
    "result": ResultReport,
    "stopped": StoppedReport,
}
"""The type of the reports of each event, in the order of a run."""
HANDED_ON, LAST = ("start", "epoch"), ("result", "stopped")
"""The events whose reports a worker hands to Ray, and those that end a run."""


class TrainableError(PlanError):
    """A trainable that does not keep its contract; the message is a line that names the trainable and what is wrong."""


def load_trainable(path: str) -> "LoadedTrainable":
    """The trainable of an import path. Raises TrainableError if it cannot be imported or lacks a required function.

    The module is imported, but not what it imports only when a function is first read.
    """
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name and f"{path}.".startswith(f"{error.name}."):
            raise TrainableError(f"there is no trainable {path}{_meant(error.name)}") from None
        raise TrainableError(f"trainable {path} cannot be imported: {_cause(error, path)}") from None
    except (Exception, SystemExit) as error:
        raise TrainableError(f"trainable {path} cannot be imported: {_cause(error, path)}") from None
    return _loaded(path, module)


class LoadedTrainable:
    """A trainable whose functions give what the contract says, or raise TrainableError."""

    def __init__(self, path: str, module: ModuleType) -> None:
        self.path, self._module = path, module

    def has(self, name: str) -> bool:
        """Whether the trainable defines a function. The function is not read if the module lists it in `__all__`."""
        if name in vars(self._module) or name in vars(self._module).get("__all__", ()):
            return True
        with self._told(name):
            return hasattr(self._module, name)

    @functools.cached_property
    def traits(self) -> Traits:
        """The traits that the trainable declares, with defaults for those that it leaves out."""
        declared: dict[str, Any] = self._read("TRAITS") if self.has("TRAITS") else {}
        kinds = get_type_hints(Traits)
        self._require("TRAITS", wrong_with(declared, Mapping[str, Any]))
        for name, value in declared.items():
            if name not in kinds:
                self._require("TRAITS", f"unknown name {name!r}{nearest(str(name), list(kinds))}")
            self._require("TRAITS", wrong_with(value, kinds[name], name))
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in declared.items()}
        traits = Traits(**plain)
        for name in declared.get("kept", ()):
            if name not in traits.checkpoints:
                self._require("TRAITS", f"kept: {name!r} is no checkpoint{nearest(name, traits.checkpoints)}")
        return traits

    def check(self, config: Any, num_workers: int) -> Facts:
        """As in the contract, with the fields filled in that phases may leave out."""
        facts: Facts = self._call("check", Facts, config, num_workers)
        self._require("check: no_effect", _no_field(facts.get("no_effect", ()), config))
        self._require("check: rate_fields", _no_field(facts.get("rate_fields", ()), config))
        if parts := self.traits.batch_parts:
            self._require("TRAITS: batch_parts", _no_field([parts], config) or _not_cosmetic(parts, config))
        if "phases" not in facts:
            return facts
        return {**facts, "phases": [_completed(phase) for phase in facts["phases"]]}

    @property
    def train(self) -> Callable[[Any], Iterator[Report]]:
        """As in the contract. To read it imports what training needs."""
        return functools.partial(self._train, self._read("train"))

    @property
    def train_side_by_side(self) -> Callable[[Sequence[Any]], Iterator[tuple[int, Report]]]:
        """As in the contract; to be read only where the trainable `has` it. To read it imports what training needs."""
        return functools.partial(self._train_side_by_side, self._read("train_side_by_side"))

    def cost(self, config: Any, num_workers: int, device: Literal["cpu", "cuda"]) -> Costs | None:
        """As in the contract; None where the trainable does not define it."""
        costs: Costs | None = self._call("cost", Costs, config, num_workers, device) if self.has("cost") else None
        return costs

    def measure(self, config: Any, num_workers: int) -> Mapping[str, float]:
        """As in the contract; to be called only where the trainable `has` it."""
        rates: Mapping[str, float] = self._call("measure", Mapping[str, float], config, num_workers)
        return rates

    def matrix_product(self, device: Literal["cpu", "cuda"], threads: int) -> float:
        """As in the contract; to be called only where the trainable `has` it."""
        speed: float = self._call("matrix_product", float, device, threads)
        self._require("matrix_product", "" if speed > 0 else f"{speed} is no speed")
        return speed

    def reach(self, config: Any, num_workers: int, device: Literal["cpu", "cuda"]) -> Reach:
        """As in the contract; to be called only where the trainable `has` it."""
        reach: Reach = self._call("reach", Reach, config, num_workers, device)
        self._require("reach: fraction", "" if reach["fraction"] > 0 else f"{reach['fraction']} is not above 0")
        return reach

    def position(self, config: Any) -> tuple[str, int] | None:
        """As in the contract; None also where the trainable does not define it."""
        at = self._call("position", tuple[str, int] | None, config) if self.has("position") else None
        return at and (at[0], at[1])

    def command(self, configs: Sequence[Any], num_workers: int, flags: Callable[..., list[str]]) -> list[str] | None:
        """As in the contract; None where the trainable does not define it."""
        if not self.has("command"):
            return None
        return list(self._call("command", Sequence[str], configs, num_workers, flags))

    def remedies(self, config: Any, num_workers: int) -> list[Remedy]:
        """As in the contract; empty where the trainable does not define them."""
        if not self.has("remedies"):
            return []
        remedies = self._call("remedies", Sequence[Remedy], config, num_workers)
        for remedy in remedies:
            self._require("remedies", _no_field(remedy["changes"], config))
        return list(remedies)

    def _train(self, train: Callable[[Any], Iterable[Any]], config: Any) -> Iterator[Report]:
        """The reports of a run, checked one by one. What `train` raises goes through."""
        before = ""
        for report in train(config):
            before = self._checked_event(report, before)
            yield report
        if before not in LAST:
            self._require("train", "its reports end without 'result' or 'stopped'")

    def _train_side_by_side(
        self, train: Callable[[Sequence[Any]], Iterable[tuple[int, Any]]], configs: Sequence[Any]
    ) -> Iterator[tuple[int, Report]]:
        """The reports of runs that train at the same time, checked one by one. What `train` raises goes through."""
        before = dict.fromkeys(range(len(configs)), "")
        for number, report in train(configs):
            self._require("train_side_by_side", "" if number in before else f"{number!r} is the number of no run")
            before[number] = self._checked_event(report, before[number])
            yield number, report
        if unended := [number for number, event in before.items() if event not in LAST]:
            self._require("train_side_by_side", f"the reports of run {unended[0]} end without 'result' or 'stopped'")

    def _checked_event(self, report: Any, before: str) -> str:
        """The event of a report that comes after one of the event `before`, once all of it was checked."""
        self._require("a report", wrong_with(report, Mapping[str, Any]))
        event = report.get("event")
        if not isinstance(event, str) or event not in REPORTS:
            self._require("a report", f"its event is {event!r}{nearest(str(event), list(REPORTS))}")
        where = f"event {event!r}"
        if before in LAST:
            self._require(where, f"it comes after {before!r}, which is the last report of a run")
        if event == "epoch" and not before:
            self._require(where, "it comes before 'start'")
        self._require(where, wrong_with(report, REPORTS[event]))
        if event != "progress":
            self._require(where, not_plain(report))
        if event in HANDED_ON and (taken := RESERVED & report.keys()):
            self._require(where, f"raysweep and Ray add a field {min(taken)!r} of their own")
        return str(event)

    def _call(self, name: str, kind: Any, *args: Any) -> Any:
        """What a function returns. ValueErrors and OSErrors, whose messages are for people, pass through."""
        function = self._read(name)
        with self._told(name):
            given = function(*args)
        self._require(name, wrong_with(given, kind) or not_plain(given))
        return given

    def _read(self, name: str) -> Any:
        with self._told(name):
            return getattr(self._module, name)

    def _require(self, where: str, wrong: str) -> None:
        """Raises TrainableError if something is wrong."""
        if wrong:
            raise TrainableError(f"{self.path}: {where}: {wrong}")

    @contextlib.contextmanager
    def _told(self, where: str) -> Iterator[None]:
        """Turn an exception within into one line with file and line, unless its message is for people already."""
        try:
            yield
        except (ValueError, OSError):
            raise
        except (Exception, SystemExit) as error:
            raise TrainableError(f"{self.path}: {where}: {_cause(error, self.path)}") from None


def spoken_changes(changes: Mapping[str, Any]) -> str:
    """Changed fields of a configuration as messages name them, such as `mixing_horizon=27`."""
    return ", ".join(f"{name}={value}" for name, value in changes.items())


def _not_cosmetic(name: str, config: Any) -> str:
    """Why a field of a configuration takes part in the identity of a run; "" where it does not."""
    known = {field.name: field.metadata.get("cosmetic") for field in dataclasses.fields(config)}
    return "" if known[name] else f"{name!r} of {type(config).__name__} is not marked as cosmetic"


@functools.cache
def _loaded(path: str, module: ModuleType) -> LoadedTrainable:
    """The trainable of an imported module, made once. Raises TrainableError for one that lacks a required function."""
    trainable = LoadedTrainable(path, module)
    if lacking := [name for name in REQUIRED if not trainable.has(name)]:
        raise TrainableError(f"trainable {path} does not define {lacking[0]} (see raysweep.trainable)")
    return trainable


def _no_field(names: Iterable[str], config: Any) -> str:
    """Which of the names is no field of a configuration, with the nearest one; "" where all are."""
    fields = [field.name for field in dataclasses.fields(config)]
    for name in names:
        if name not in fields:
            return f"{type(config).__name__} has no field {name!r}{nearest(name, fields).partition('; known')[0]}"
    return ""


def _completed(phase: Phase) -> Phase:
    """A phase with the defaults of what it leaves out."""
    usual: Phase = {
        "phase": phase["phase"],
        "epochs": phase["epochs"],
        "least_epochs": phase["epochs"],
        "train_images": phase["train_images"],
        "validation_images": 0,
        "validation_images_once": 0,
        "cached": False,
    }
    return {**usual, **phase}


def _meant(missing: str) -> str:
    """The end of a message about a missing module, which names the nearest one beside it."""
    package = missing.rpartition(".")[0]
    beside = pkgutil.iter_modules(getattr(sys.modules.get(package), "__path__", []))
    return nearest(missing, [f"{package}.{module.name}" for module in beside]).partition("; known")[0]


def _cause(error: BaseException, path: str) -> str:
    """An exception in a line, with the file and line of the trainable that it comes from, or else of what it called."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    passed_by = ("<frozen importlib", __file__, importlib.__file__)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(passed_by)]
    own = f"/{path.replace('.', '/')}"
    at = next((f for f in reversed(frames) if f"{own}.py" in f.filename or f"{own}/" in f.filename), None)
    at = at or (frames[-1] if frames else None)
    kind = "" if type(error).__module__ == "builtins" else f"{type(error).__name__}: "
    return f"{kind}{one_line(error)}{f' ({at.filename}:{at.lineno})' if at else ''}"
