"""Take overrides such as `--run.stride 32` out of a command line."""

import json
import re
from collections.abc import Sequence
from typing import Any

_OVERRIDE = re.compile(r"--([A-Za-z_]+(?:\.[\w-]+)+)(?:=(.*))?", re.DOTALL)


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the other arguments, and the overrides by dotted name.

    `--section.name value` and `--section.name=value` are alike; without a value it is true. A value
    is JSON where it parses as JSON, else a string. What follows `--` is left alone.
    """
    rest: list[str] = []
    overrides: dict[str, Any] = {}
    waiting = list(reversed(arguments))
    while waiting:
        argument = waiting.pop()
        match = _OVERRIDE.fullmatch(argument)
        if match is not None:
            value = match[2] if match[2] is not None else _next_value(waiting)
            overrides[match[1]] = _parsed(value)
            continue
        rest.append(argument)
        if argument == "--":
            rest.extend(reversed(waiting))
            break
    return rest, overrides


def _next_value(waiting: list[str]) -> str:
    if not waiting or waiting[-1].startswith("--"):
        return "true"
    return waiting.pop()


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
