"""Whether the installed Ray has the private names that are used, each as it has to be."""

import functools
import importlib
import inspect
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

from raysweep.ray_internals.names import TRIED, Feature, PrivateName
from raysweep.ray_internals.table import NAMES

_VARIADIC: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def lost(*features: Feature) -> frozenset[Feature]:
    """Those of the features that this Ray does not allow. Imports the modules of Ray that they need."""
    return frozenset(feature for feature in features if not _is_possible(feature))


def notice(features: Iterable[Feature]) -> str:
    """What to tell people of features that are lost, in a line."""
    import ray

    effects = "; ".join(feature.value for feature in Feature if feature in features)
    return f"Ray {ray.__version__} is not built as Ray {TRIED}, which this was made for: {effects}"


def fault(needed: PrivateName) -> str:
    """What is wrong with a name in this Ray; "" if nothing is."""
    try:
        found: Any = importlib.import_module(needed.module)
        for part in needed.name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return f"{needed.module} has no {needed.name}"
    name = f"{needed.module}.{needed.name}"
    if needed.value is not None and found != needed.value:
        return f"{name} is {found!r} instead of {needed.value!r}"
    if needed.takes is not None and (wrong := _wrong_parameters(found, needed)):
        return f"{name} {wrong}"
    missing = set(needed.mentions) - set(_mentioned_by(found)) if needed.mentions else set()
    return f"{name} does not mention {', '.join(sorted(missing))}" if missing else ""


@functools.cache
def _is_possible(feature: Feature) -> bool:
    return not any(fault(needed) for needed in NAMES if needed.feature is feature)


def _wrong_parameters(function: Any, needed: PrivateName) -> str:
    """What is wrong with the parameters of a function, or of the `__init__` of a class; "" if nothing is."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "has no signature"
    parameters = {
        _VARIADIC.get(parameter.kind, name): parameter
        for name, parameter in signature.parameters.items()
        if name != "self"
    }
    takes = set(needed.takes or ())
    demanded = {name for name, one in parameters.items() if one.default is one.empty and one.kind not in _VARIADIC}
    if needed.overridden and takes != set(parameters):
        return f"takes {', '.join(parameters) or 'nothing'} instead of {', '.join(needed.takes or ()) or 'nothing'}"
    if takes - set(parameters):
        return f"does not take {', '.join(sorted(takes - set(parameters)))}"
    if demanded - takes:
        return f"demands {', '.join(sorted(demanded - takes))}"
    return ""


def _mentioned_by(function: Any) -> Iterator[str]:
    """The names and strings in the code of a function, or of the `__init__` of a class."""
    if inspect.isclass(function):
        function = function.__init__
    codes = [getattr(inspect.unwrap(function), "__code__", None)]
    while codes:
        code = codes.pop()
        if code is not None:
            yield from (*code.co_names, *code.co_varnames, *(one for one in code.co_consts if isinstance(one, str)))
            codes += [one for one in code.co_consts if isinstance(one, CodeType)]
