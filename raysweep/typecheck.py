"""Checks at run time that plain values are what a TypedDict says of them, and that JSON can hold them."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from raysweep.messages import nearest

MAY_BE_NAN = "may be NaN or infinite"
"""Marks, in `Annotated[float, MAY_BE_NAN]`, a number that need not be finite; all others have to be."""

SPOKEN = {
    Annotated: "a number",
    bool: "True or False",
    float: "a finite number",
    int: "a whole number",
    Mapping: "a dict",
    Sequence: "a list",
    str: "a string",
    tuple: "a list",
}
"""The kinds of values that are known, as messages name them."""
LONGEST = 40
"""Characters of a value that a message shows."""


def wrong_with(value: object, kind: Any, name: str = "") -> str:
    """What is wrong with the value of this name if it is to be of a kind, in half a line; "" if nothing is.

    A kind is a TypedDict, or a type such as its fields have. Lists and tuples are taken for the same, and fields that a
    TypedDict does not name are left alone.
    """
    origin, args = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return ""
    if origin is NotRequired:
        return wrong_with(value, args[0], name)
    if origin in (Union, UnionType):  # of a kind and None
        return "" if value is None else wrong_with(value, next(one for one in args if one is not NoneType), name)
    if origin is Literal:
        known = " or ".join(map(repr, args))
        return "" if value in args else f"{name or 'it'} is {_shown(value)}, not {known}"
    if is_typeddict(kind):
        origin = Mapping
    if not _is_instance(value, origin):
        return f"{name or 'it'} is {_shown(value)}, not {SPOKEN[origin]}"
    if isinstance(value, Mapping) and is_typeddict(kind):
        return _wrong_with_fields(value, kind, name)
    if isinstance(value, Mapping):
        return _first(wrong_with(one, args[1], _joined(name, key)) for key, one in value.items())
    if isinstance(value, list | tuple):
        kinds = [args[0]] * len(value) if origin is Sequence or args[-1] is ... else args
        if len(kinds) != len(value):
            return f"{name or 'it'} has {len(value)} parts, not {len(kinds)}"
        return _first(wrong_with(one, of, f"{name}[{i}]") for i, (one, of) in enumerate(zip(value, kinds, strict=True)))
    return ""


def not_plain(value: object, name: str = "") -> str:
    """Says in half a line what in a value JSON cannot hold; "" if all of it is dicts, lists, strings, numbers, None."""
    if isinstance(value, str | int | float | NoneType):
        return ""
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            return f"{name or 'it'} has the key {_shown(odd[0])}, not a string"
        return _first(not_plain(one, _joined(name, key)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return _first(not_plain(one, f"{name}[{i}]") for i, one in enumerate(value))
    return (
        f"{name or 'it'} is {_shown(value)}, not a plain value of Python{' (its .item() is)' * hasattr(value, 'item')}"
    )


def _is_instance(value: object, origin: Any) -> bool:
    """Whether a value is of a kind, without regard to its parts."""
    if origin in (float, Annotated):
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return origin is Annotated or math.isfinite(value)
    if origin in (Sequence, tuple):
        return isinstance(value, list | tuple)
    return isinstance(value, origin) and (origin is not int or not isinstance(value, bool))


def _wrong_with_fields(value: Mapping[str, Any], kind: Any, name: str) -> str:
    """What is wrong with the fields of a dict that a TypedDict names."""
    kinds = _kinds_of(kind)
    for field in kinds:
        if field in kind.__required_keys__ and field not in value:
            others = [key for key in value if key not in kinds]
            return f"{name or 'it'} lacks {field!r}{nearest(field, others).partition('; known')[0]}"
    return _first(wrong_with(value[field], of, _joined(name, field)) for field, of in kinds.items() if field in value)


@functools.cache
def _kinds_of(kind: Any) -> dict[str, Any]:
    """The kinds of the fields of a TypedDict."""
    return get_type_hints(kind, include_extras=True)


def _joined(name: str, field: str) -> str:
    """The full name of a field, with that of the value to which it belongs."""
    return f"{name}.{field}" if name else field


def _shown(value: object) -> str:
    """A value as a message shows it: itself if it is plain, and its type otherwise."""
    if isinstance(value, str | int | float | NoneType):
        text = repr(value)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    kind = type(value)
    return f"a {kind.__qualname__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"


def _first(texts: Iterable[str]) -> str:
    """The first that is not empty."""
    return next(filter(None, texts), "")
