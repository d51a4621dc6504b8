"""What the command line says of an evaluation, as settings."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from bertpipe.config import EncoderSettings
from bertpipe.errors import ConfigError
from bertpipe.evaluation.evaluate import Options, Progress
from bertpipe.settings import Tree, check_block, check_names, check_types, nest
from bertpipe.training.settings import PARTS, Source

PACKAGES = ("matplotlib", "seqeval", "sklearn")
OWN = ("data", "train", "component")
READING = ("text_field", "pair_field", "label_field", "join_words", "limit")
ENCODER = ("max_length", "stride", "device", "precision", "offline")


def check_installed() -> None:
    """Raise ConfigError if a package that scores or draws is missing."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise ConfigError(
                f"Evaluating needs {package}, which is not installed; run pip install "
                "'bertpipe[train]'."
            )


def split_overrides(
    overrides: Mapping[str, Any], *, others: bool
) -> tuple[dict[str, Any], dict[str, Tree]]:
    """Return the overrides of a recipe, and those of an evaluation by section.

    others: whether there may be any that are not of an evaluation.
    """
    own = {name: value for name, value in overrides.items() if name.split(".")[0] in OWN}
    rest = {name: value for name, value in overrides.items() if name not in own}
    found = nest(own)
    if not others:
        check_names([name.split(".")[0] for name in rest], OWN, "An evaluation", "section")
    for name, block in found.items():
        check_block(block, name)
    return rest, {name: found.get(name, {}) for name in OWN}


def make_source(path: Path | None, given: Mapping[str, Any], own: Tree) -> Source:
    """Return how a labelled file is read, from the options and the pairs of its section."""
    hints = get_type_hints(Source)
    check_names(own, hints.keys() - {"path", "passes", "max_length"}, "The data", "setting")
    check_types(own, hints, "The data")
    if own.get("part", "all") not in PARTS:
        raise ConfigError(f"The data: part is {own['part']!r}; use one of {', '.join(PARTS)}.")
    options = {name: given[name] for name in READING if given[name] is not None}
    return Source(path=Path(path or ""), **{**options, **own})


def make_options(given: Mapping[str, Any], component: Tree, progress: Progress | None) -> Options:
    """Return what is asked of an evaluation; numbers are fp32 unless something else is said."""
    encoder = {name: given[name] for name in ENCODER if given[name] is not None}
    return Options(
        task=given["task"],
        encoder=EncoderSettings(**{"precision": "fp32", **encoder}),
        component=component,
        rename=given["rename"],
        threshold=given["threshold"],
        find_threshold=given["find_threshold"],
        n_mistakes=given["mistakes"],
        progress=progress,
    )
