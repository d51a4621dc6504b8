"""Trees of settings: read from `.cfg` files, merged, overridden, and checked by name and type."""

from __future__ import annotations

import configparser
import copy
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bertpipe.errors import ConfigError

Tree = dict[str, Any]
SECONDS = {"s": 1, "m": 60, "h": 3600}
_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
    types.NoneType: "null",
}


def parse_cfg(text: str, source: str) -> Tree:
    """Return the sections of a `.cfg` text, its `${section.name}` references left as they are."""
    from confection import Config

    try:
        return dict(Config().from_str(text, interpolate=False))
    except KeyError as error:
        name = error.args[0]
        raise ConfigError(
            f"{source} is not a valid config: a section of {name!r} stands before [{name}]; put"
            f" [{name}] first."
        ) from error
    except (ValueError, configparser.Error) as error:
        raise ConfigError(f"{source} is not a valid config: {_sentence(error)}.") from error


def read_cfg(path: Path) -> Tree:
    """Return the sections of a `.cfg` file."""
    if not path.is_file():
        raise ConfigError(f"The config {path} does not exist; give the path of a .cfg file.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config {path} cannot be read: {error}.") from error
    return parse_cfg(text, f"The config {path}")


def interpolate(tree: Mapping[str, Any]) -> Tree:
    """Return the tree with every `${section.name}` replaced by what it refers to."""
    from confection import Config

    try:
        return dict(Config(dict(tree)).interpolate())
    except (ValueError, configparser.Error) as error:
        raise ConfigError(f"The config is not valid: {_sentence(error)}.") from error


def to_text(tree: Mapping[str, Any]) -> str:
    """Write a tree as a `.cfg` text."""
    from confection import Config

    return Config(dict(tree)).to_str()


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Return both trees in one; where both have a value, `above` decides.

    A block that names another factory replaces the block below it whole.
    """
    merged = copy.deepcopy(dict(below))
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict) and not _is_other(old, value):
            merged[name] = merge(old, value)
        else:
            merged[name] = copy.deepcopy(value)
    return merged


def _is_other(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return "factory" in new and new["factory"] != old.get("factory")


def nest(values: Mapping[str, Any]) -> Tree:
    """Return values by dotted name as a tree: `a.b` and 1 give {a: {b: 1}}."""
    tree: Tree = {}
    for dotted, value in values.items():
        *path, last = dotted.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ConfigError(
                    f"{dotted} is inside {part}, which has a value; give one of the two."
                )
        node[last] = value
    return tree


def unknown(where: str, kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Return the error for a name that is not known, with the names that are near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    cure = f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(names)}."
    return ConfigError(f"{where} has no {kind} {name!r}; {cure}")


def check_names(names: Iterable[str], known: Iterable[str], where: str, kind: str) -> None:
    """Raise ConfigError for the first name that is not known."""
    allowed = set(known)
    for name in names:
        if name not in allowed:
            raise unknown(where, kind, name, allowed)


def check_block(value: object, name: str) -> None:
    """Raise ConfigError when what stands under a section's name is not a section."""
    if not isinstance(value, dict):
        raise ConfigError(f"[{name}] is {value!r}, but must be a block of settings.")


def check_types(values: Mapping[str, Any], hints: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for the first value that does not fit the hint of its name."""
    for name, value in values.items():
        if name in hints and not fits(value, hints[name]):
            raise ConfigError(f"{where}: {name} is {value!r}, but must be {_words(hints[name])}.")


def fits(value: Any, hint: Any) -> bool:
    """Tell whether a JSON value is what a type hint asks for; a hint we do not know is content."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return value in arguments
    plain = _plain(hint)
    if plain is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if plain is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if plain is list:
        return isinstance(value, list | tuple)
    return plain is None or isinstance(value, plain)


def _plain(hint: Any) -> type | None:
    """Return the JSON type behind a hint, or None when there is no single one."""
    base = typing.get_origin(hint) or hint
    if base in _KINDS:
        return base
    if isinstance(base, type) and issubclass(base, Mapping):
        return dict
    if isinstance(base, type) and issubclass(base, Sequence):
        return list
    return None


def _words(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(each) for each in arguments)
    if origin is typing.Literal:
        return ", ".join(map(str, arguments))
    plain = _plain(hint)
    return str(hint) if plain is None else _KINDS[plain]


def to_seconds(value: str | float, where: str) -> float:
    """Return a duration in seconds: a number, or a number with s, m or h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
    if match is None:
        raise ConfigError(f"{where} is {value!r}; give a duration such as 30s, 5m or 1h.")
    return float(match[1]) * SECONDS[match[2] or "s"]


def to_list(value: Any) -> Any:
    """Return a comma-separated string as a list of names; any other value as it is."""
    if not isinstance(value, str):
        return value
    return [name.strip() for name in value.split(",") if name.strip()]


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).removeprefix("Config validation error ").rstrip(".")
