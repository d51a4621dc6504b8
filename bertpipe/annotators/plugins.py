"""The factories that installed packages bring, each imported on its own: one may be broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from bertpipe.errors import ConfigError

if TYPE_CHECKING:
    from spacy.language import Language

GROUP = "spacy_factories"
BUILT_IN: Mapping[str, str] = {
    "bert_ner": "bertpipe.annotators.ner:BertNer",
    "bert_classifier": "bertpipe.annotators.classification:BertClassifier",
    "bert_qa": "bertpipe.annotators.qa:BertQa",
}


def plugin_points() -> dict[str, EntryPoint]:
    """Return the entry points of spaCy factories by name, those of bertpipe itself left out.

    Of several with one name the first counts; `clashes` has the others.
    """
    return {point.name: point for point in reversed(_points()) if point.name not in BUILT_IN}


def clashes() -> list[tuple[EntryPoint, str]]:
    """Return the entry points whose name is taken, and the package that has it."""
    owners: dict[str, str] = dict.fromkeys(BUILT_IN, "bertpipe")
    found = []
    for point in _points():
        owner = owners.setdefault(point.name, package_of(point))
        if owner != package_of(point) and point.value.partition(".")[0] != "bertpipe":
            found.append((point, owner))
    return found


def _points() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=package_of)


def load_plugin(point: EntryPoint) -> Any:
    """Import the module of a plug-in, which registers its factories, and return the factory."""
    try:
        return point.load()
    except Exception as error:
        raise ConfigError(
            f"The factory {point.name!r} of the package {package_of(point)} cannot be loaded "
            f"({type(error).__name__}: {error}); mend or uninstall the package."
        ) from error


def package_of(point: EntryPoint) -> str:
    """Return the name and version of the package that brings an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "of unknown name"


def refuse_clash(factory: str) -> None:
    """Raise ConfigError if several packages have a factory of this name."""
    for point, owner in clashes():
        if point.name == factory:
            raise ConfigError(
                f"The packages {owner} and {package_of(point)} both have a factory {factory!r}; "
                "uninstall one of them."
            )


def blank() -> Language:
    """Return an empty English pipeline, whatever plug-ins are installed."""
    import spacy

    with plugins_left_aside():
        return spacy.blank("en")


@contextmanager
def plugins_left_aside() -> Iterator[None]:
    """Keep spaCy from importing all plug-ins at once: with one broken there is no pipeline."""
    from spacy.util import registry

    factories = registry._entry_point_factories
    before, factories.entry_points = factories.entry_points, False
    try:
        yield
    finally:
        factories.entry_points = before
