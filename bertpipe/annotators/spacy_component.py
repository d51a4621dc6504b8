"""Single components of spaCy, made by their factories, as annotators."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertpipe.annotators.spacy_pipeline import SETTINGS, SpacyPipeline
from bertpipe.errors import ConfigError
from bertpipe.settings import check_names, check_types

if TYPE_CHECKING:
    from spacy.language import Language

PATTERNS = "patterns"
_OWN_TYPES = {"columns": list[str] | None, "reads": list[str] | None, PATTERNS: list | str}
_NOT_SETTINGS = ("self", "get_examples", "nlp")


def from_component(
    nlp: Language, name: str, made: Any, settings: Mapping[str, Any], known: Collection[str]
) -> SpacyPipeline:
    """Return the only component of a pipeline as an annotator.

    settings: those that its factory does not take. They are those of every component of spaCy
    here, and what the component's own `initialize` takes: the patterns of a ruler, say.
    known: the settings of the factory, for the message when one is unknown.

    Raises:
        ConfigError: A setting is unknown or does not fit, or the component has to be trained.
    """
    from spacy.pipeline import TrainablePipe

    where = f"Component {name!r}"
    if isinstance(made, TrainablePipe):
        raise ConfigError(
            f"{where} has to be trained before it finds anything; give a pipeline of spaCy that "
            f"has one: {name}=spacy:FOLDER, or the name of an installed package for FOLDER."
        )
    wanted = _initialize_settings(made)
    check_names(settings, {*known, *SETTINGS, *(wanted or ())}, where, "setting")
    check_types(settings, _OWN_TYPES, where)
    given = {key: value for key, value in settings.items() if key not in SETTINGS}
    if isinstance(given.get(PATTERNS), str):
        given[PATTERNS] = _read_patterns(given[PATTERNS], where)
    if wanted is not None:
        _initialize(made, nlp, given, where)
    own = {key: settings[key] for key in SETTINGS if key in settings}
    return SpacyPipeline(name, nlp, **own, described=_described(nlp, given))


def _initialize_settings(made: Any) -> Collection[str] | None:
    """Return what a component's `initialize` takes; None if it has none."""
    if not hasattr(made, "initialize"):
        return None
    parameters = inspect.signature(made.initialize).parameters
    return [key for key in parameters if key not in _NOT_SETTINGS]


def _read_patterns(path: str, where: str) -> list[Any]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{where}: the patterns {path} cannot be read ({error}); give a file of JSON lines, "
            "as a ruler of spaCy writes them."
        ) from error


def _initialize(made: Any, nlp: Language, given: Mapping[str, Any], where: str) -> None:
    def get_examples() -> list[Any]:
        return []

    try:
        made.initialize(get_examples, nlp=nlp, **given)
    except Exception as error:
        raise ConfigError(
            f"{where} cannot be set up ({type(error).__name__}: "
            f"{' '.join(str(error).split()):.300}); check {', '.join(given) or 'its settings'}."
        ) from error


def _described(nlp: Language, given: Mapping[str, Any]) -> dict[str, Any]:
    content = {key: json.dumps(value, sort_keys=True) for key, value in given.items()}
    digests = {key: hashlib.sha256(text.encode()).hexdigest() for key, text in content.items()}
    return {
        "origin": f"spacy {version('spacy')}",
        "fingerprint": {key: digest[:16] for key, digest in digests.items()},
    }
