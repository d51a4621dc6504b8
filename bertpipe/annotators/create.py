"""Make an annotator from a block of the config; ours without importing spaCy."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, get_type_hints

import pyarrow as pa

from bertpipe.annotator import Annotator, origin
from bertpipe.annotators.code import import_code
from bertpipe.config import UPSTREAM, Component, EncoderSettings, RunConfig, default_tree
from bertpipe.errors import BertpipeError, ConfigError
from bertpipe.settings import check_names, check_types, unknown

if TYPE_CHECKING:
    from spacy.language import Language

GROUP = "spacy_factories"
BUILT_IN: Mapping[str, str] = {
    "bert_ner": "bertpipe.annotators.ner:BertNer",
    "bert_classifier": "bertpipe.annotators.classification:BertClassifier",
    "bert_qa": "bertpipe.annotators.qa:BertQa",
}


def create_all(config: RunConfig) -> list[Annotator]:
    """Return the annotators of a run, with its file of code imported."""
    if config.code is not None:
        import_code(config.code)
    return [create(component, config.encoder) for component in config.components]


def create(component: Component, encoder: EncoderSettings) -> Annotator:
    """Return the annotator of a component; `encoder` is how the run runs encoders.

    Raises:
        ConfigError: The factory is unknown, broken or makes no annotator, or a setting does not
            fit.
    """
    own = component.encoder(encoder)
    if component.settings.get(UPSTREAM) is not None:
        raise ConfigError(
            f"Component {component.name!r}: encoder names a component of a spaCy pipeline; use it "
            "there, or leave it out here."
        )
    if component.factory in BUILT_IN:
        return _create_built_in(component, own)
    return _create_through_spacy(component, own)


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


def _create_built_in(component: Component, encoder: EncoderSettings) -> Annotator:
    module, _, name = BUILT_IN[component.factory].partition(":")
    kind = getattr(import_module(module), name)
    parameters = _parameters(kind)
    parameters.pop("encoder")
    _check_settings(component.own_settings, parameters, f"Component {component.name!r}")
    hints = get_type_hints(kind.__init__)
    check_types(component.own_settings, hints, f"Component {component.name!r}")
    return kind(component.name, encoder=encoder, **component.own_settings)


def _create_through_spacy(component: Component, encoder: EncoderSettings) -> Annotator:
    points = plugin_points()
    if component.factory in points:
        _refuse_clash(component.factory)
        load_plugin(points[component.factory])
    nlp = blank()
    if not nlp.has_factory(component.factory):
        known = {*default_tree()["components"], *BUILT_IN, *points}
        raise unknown("bertpipe", "component or factory", component.factory, known)
    settings = _settings_of_factory(nlp, component, encoder)
    try:
        made: Any = nlp.add_pipe(component.factory, name=component.name, config=settings)
    except BertpipeError:
        raise
    except Exception as error:
        raise ConfigError(
            f"The factory {component.factory!r} cannot make component {component.name!r} "
            f"({type(error).__name__}: {error}); check its settings."
        ) from error
    if not hasattr(made, "annotate"):
        raise ConfigError(
            f"Component {component.name!r} is not an annotator: the factory {component.factory!r} "
            "makes a component of spaCy without a column; use it in a pipeline of spaCy."
        )
    own = getattr(made, "encoder", None)
    if isinstance(own, EncoderSettings):  # spaCy leaves the hub to the environment
        made.encoder = replace(own, offline=encoder.offline)
    if not isinstance(made.type, pa.DataType):
        raise ConfigError(
            f"Component {component.name!r} of {origin(made)} has the type {made.type!r}; it must "
            "be a pyarrow.DataType."
        )
    return made


def _refuse_clash(factory: str) -> None:
    for point, owner in clashes():
        if point.name == factory:
            raise ConfigError(
                f"The packages {owner} and {package_of(point)} both have a factory {factory!r}; "
                "uninstall one of them."
            )


def blank() -> Language:
    """Return an empty English pipeline, whatever plug-ins are installed."""
    import spacy

    with _plugins_left_aside():
        return spacy.blank("en")


@contextmanager
def _plugins_left_aside() -> Iterator[None]:
    """Keep spaCy from importing all plug-ins at once: with one broken there is no pipeline."""
    from spacy.util import registry

    factories = registry._entry_point_factories
    before, factories.entry_points = factories.entry_points, False
    try:
        yield
    finally:
        factories.entry_points = before


def _settings_of_factory(
    nlp: Language, component: Component, encoder: EncoderSettings
) -> dict[str, Any]:
    """Return the settings of a component, with what its factory wants to know of the encoder."""
    from spacy.util import registry

    name = component.factory
    internal = nlp.get_factory_name(name)
    factory = registry.factories.get(internal if internal in registry.factories else name)
    parameters = _parameters(factory)
    defaults = nlp.get_factory_meta(name).default_config or {}
    given = {**defaults, **component.settings}
    _check_settings(given, parameters, f"Component {component.name!r}")
    wanted = {key: value for key, value in asdict(encoder).items() if key in parameters}
    return {**component.settings, **wanted}


def _parameters(factory: Any) -> dict[str, inspect.Parameter]:
    """Return the settings that a class or factory takes."""
    parameters = inspect.signature(factory).parameters
    return {k: v for k, v in parameters.items() if k not in ("nlp", "name")}


def _check_settings(
    given: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter], where: str
) -> None:
    check_names(given, parameters, where, "setting")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in given:
            raise ConfigError(f"{where} lacks the setting {name!r}; give it one.")
