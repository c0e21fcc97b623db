"""Makes frozen dataclasses again from the plain data that JSON files hold of them."""

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

MISFIT = object()
"""What a value is read as that is not of its type."""


def from_plain(kind: type[T], content: Mapping[str, Any]) -> T:
    """The dataclass with these fields. Fields that are absent have their defaults.

    Raises ValueError with half a line, such as "has no arms", for a field that is missing or of another type, and for
    one that is not empty and that the dataclass does not have: another version wrote it, and it may change the meaning.
    """
    hints = get_type_hints(kind)
    unknown = [name for name, value in content.items() if name not in hints and value not in (None, "", (), [], {})]
    if unknown:
        raise ValueError(f"says {unknown[0]!r}, which this version does not know")
    found: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in content:
            if field.default is MISSING and field.default_factory is MISSING:
                raise ValueError(f"has no {field.name}")
            continue
        found[field.name] = value = _read(hints[field.name], content[field.name])
        if value is MISFIT and any(get_origin(h) is Literal for h in (hints[field.name], *get_args(hints[field.name]))):
            raise ValueError(f"is of the unknown {field.name} {content[field.name]!r}")
        if value is MISFIT:
            raise ValueError(f"has no {field.name}")
    return kind(**found)


def _read(hint: Any, value: Any) -> Any:
    """The value as the type says, or MISFIT."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Literal:
        return value if value in parts else MISFIT
    if origin in (Union, types.UnionType):
        return next((found for part in parts if (found := _read(part, value)) is not MISFIT), MISFIT)
    if origin is tuple:
        return _read_sequence(parts, value)
    if origin is Mapping:
        return _read_mapping(parts[1], value) if isinstance(value, Mapping) else MISFIT
    return _read_scalar(hint, value)


def _read_scalar(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        try:
            return from_plain(hint, value) if isinstance(value, Mapping) else MISFIT
        except ValueError:
            return MISFIT
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return value if math.isfinite(value) else MISFIT
    return value if type(value) is hint else MISFIT


def _read_sequence(parts: tuple[Any, ...], value: Any) -> Any:
    """Reads a tuple of any length, or one with a type for each of its values."""
    if not isinstance(value, list | tuple):
        return MISFIT
    if parts[-1] is not Ellipsis and len(parts) != len(value):
        return MISFIT
    hints = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
    found = tuple(_read(hint, entry) for hint, entry in zip(hints, value, strict=True))
    return MISFIT if MISFIT in found else found


def _read_mapping(hint: Any, value: Mapping[Any, Any]) -> Any:
    found = {name: _read(hint, entry) for name, entry in value.items()}
    return MISFIT if MISFIT in found.values() or not all(isinstance(name, str) for name in found) else found
