"""Two small plug-ins, to begin one's own with: `regex` without a model, and `head` with one."""

from __future__ import annotations

import re
from pathlib import Path

from bertpipe.errors import ConfigError

KINDS = ("regex", "head")


def new_plugin(name: str, *, kind: str, parent: Path) -> Path:
    """Copy a template to `parent`/`name` under its new name and return that folder.

    Raises:
        ConfigError: The name cannot be one, or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ConfigError(
            f"{name!r} cannot name a plug-in; use small letters, digits and hyphens, as my-dates."
        )
    _refuse_taken(name.replace("-", "_"))
    target = parent / name
    if target.exists():
        raise ConfigError(f"{target} exists; give another name or remove it.")
    source = Path(__file__).parent / kind
    for file in sorted(source.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            copied = target / _renamed(file.relative_to(source).as_posix(), name)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_text(_renamed(file.read_text(encoding="utf-8"), name), encoding="utf-8")
    return target


def _refuse_taken(factory: str) -> None:
    from bertpipe.annotators.plugins import BUILT_IN, blank, package_of, plugin_points

    point = plugin_points().get(factory)
    if point is not None or factory in BUILT_IN or blank().has_factory(factory):
        owner = f"the package {package_of(point)}" if point else "spaCy or bertpipe"
        raise ConfigError(f"The factory {factory!r} is one of {owner} already; give another name.")


def _renamed(text: str, name: str) -> str:
    """Return a text of the template with the new name in its three spellings."""
    words = re.split("[-_]", name)
    text = text.replace("my-annotator", "-".join(words)).replace("my_annotator", "_".join(words))
    return text.replace("MyAnnotator", "".join(word.capitalize() for word in words))
