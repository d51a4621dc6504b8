"""Take overrides such as `--run.stride 32` out of a command line, and put them back."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
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


def command_line(words: Sequence[Any], overrides: Mapping[str, Any]) -> str:
    """Return a command as others can give it, who have not the folders of this machine.

    Of an absolute path the last name is left; of one in an override, the override's name in
    capitals.
    """
    shown = [Path(word).name if _is_absolute(word) else str(word) for word in words]
    pairs = [f"--{name}={_shown(name, value)}" for name, value in overrides.items()]
    return shlex.join([*shown, *pairs])


def _shown(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    return name.rpartition(".")[2].upper() if _is_absolute(value) else value


def _is_absolute(word: Any) -> bool:
    return isinstance(word, str | Path) and Path(word).is_absolute()
