"""Command-line options made from a config dataclass: flags, help and `field=value` pairs, by tyro.

tyro says what is wrong in a box of several lines; here every error is one line on stderr and exit code 2.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, make_dataclass
from difflib import get_close_matches
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

import tyro

Config = TypeVar("Config")


LARGEST = 2**63 - 1
"""The largest whole number that tables of results can hold."""


class UsageError(ValueError):
    """A wrong option; the message is one line that names it and the nearest valid one."""


def fail(message: object, code: int = 2) -> NoReturn:
    """End the program with one line on stderr."""
    print("error:", "\\n".join(str(message).splitlines()), file=sys.stderr)
    raise SystemExit(code)


def parse(
    config: type[Config],
    args: Sequence[str] | None = None,
    *,
    prog: str | None = None,
    default: Config | None = None,
) -> Config:
    """Make a config from flags such as `--n-blocks 3 --lowpass-last`; the other fields are those of `default`.

    Raises UsageError for a wrong flag, and for a folder without a name, which would be the current one.
    """
    captured = io.StringIO()
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "1000"  # so that tyro wraps no word of a message
    try:
        with contextlib.redirect_stderr(captured):
            parsed = tyro.cli(config, args=args, prog=prog, **({} if default is None else {"default": default}))
    except SystemExit as exit:
        if not exit.code:
            raise
        raise UsageError(_one_line(captured.getvalue(), config)) from None
    finally:
        os.environ.pop("COLUMNS") if columns is None else os.environ.update(COLUMNS=columns)
    for name in ("data_dir", "save_dir"):
        if getattr(parsed, name, None) == "":
            raise UsageError(f"--{name.replace('_', '-')} names nothing")
    return parsed


def parse_values(config: type[Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Convert fields that are given as text to their types, `{"epochs": "3"}` -> `{"epochs": 3}`. Raises UsageError."""
    kinds = get_type_hints(config)
    parsed = {}
    for name, text in values.items():
        if name not in kinds:
            raise UsageError(f"unknown field {name!r}{nearest(name, list(kinds))}")
        if kinds[name] is bool:
            if text.lower() not in ("true", "false"):
                raise UsageError(f"{name}={text}: expected true or false")
            parsed[name] = text.lower() == "true"
            continue
        flag = "--" + name.replace("_", "-")
        alone = make_dataclass("Value", [(name, kinds[name])], kw_only=True)
        takes_none = type(None) in get_args(kinds[name])
        try:
            value = parse(alone, [flag, "None" if takes_none and text.lower() == "none" else text])
        except UsageError as error:
            raise UsageError(f"{name}={text}: {str(error).removeprefix(f'{flag}: ')}") from None
        parsed[name] = _plain(name, getattr(value, name))
    return parsed


def _plain(name: str, value: Any) -> Any:
    """The value of a field, -0.0 as 0.0, since these are the same run. Raises UsageError for too large a number."""
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UsageError(f"{name} is too large a number; the most is {LARGEST}")
    return value + 0.0 if isinstance(value, float) else value


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name, which suggests the nearest known one or lists all."""
    close = get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    if close:
        return f"; did you mean {next(k for k in known if k.lower() == close[0])!r}?"
    return f"; known are {', '.join(known)}"


def _one_line(box: str, config: type[Any]) -> str:
    """The message of tyro's box, with the nearest flag where one was unknown."""
    # The first line is a title; without UTF-8 the box is drawn with blanks and hyphens.
    inside = [line.strip("│╰╯ ") for line in box.splitlines()[1:]]
    message = next((line for line in inside if line.strip("─-")), "wrong options")
    if unknown := re.match(r"Unrecognized options: ([^\s,]+)", message):
        return f"unknown option {unknown[1]}{nearest(unknown[1], _flags(config))}"
    if message.startswith("Missing from "):
        return f"missing: {', '.join(line for line in inside if re.fullmatch('[A-Z]+', line))}"
    if choice := re.match(r"invalid choice '(.*)' for argument '(--\S+)'\. Expected one of \((.*)\)", message):
        known = re.findall(r"'([^']*)'", choice[3])
        return (
            f"{choice[2]}: {choice[1]!r} is none of {', '.join(known)}{nearest(choice[1], known).split('; known')[0]}"
        )
    message = re.sub(r"no type matching \{None\}\|INT could .*", "expected a whole number or none", message)
    if value := re.match(r"Error parsing (--\S+?):? (.*)", message):
        return f"{value[1]}: {value[2]}"
    return message.removeprefix(f"Error parsing {config.__name__}: ")


def _flags(config: type[Any]) -> list[str]:
    """The flags of a config; arguments that go by their place have none."""
    hints, (_, positional) = get_type_hints(config, include_extras=True), get_args(tyro.conf.Positional[str])
    of_flags = [f.name for f in fields(config) if positional not in getattr(hints[f.name], "__metadata__", ())]
    return ["--" + name.replace("_", "-") for name in of_flags]
