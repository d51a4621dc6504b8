"""Make an annotator from a block of the config; ours without importing spaCy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bertpipe.annotator import Annotator, origin
from bertpipe.annotators.code import import_code
from bertpipe.annotators.plugins import BUILT_IN, blank, load_plugin, plugin_points, refuse_clash
from bertpipe.annotators.spacy_component import from_component
from bertpipe.annotators.spacy_folder import FACTORY, installed_pipelines
from bertpipe.annotators.spacy_pipeline import SpacyPipeline, open_pipeline
from bertpipe.config import SPACY, UPSTREAM, Component, EncoderSettings, RunConfig, default_tree
from bertpipe.errors import BertpipeError, ConfigError
from bertpipe.settings import check_names, check_types, unknown

if TYPE_CHECKING:
    from spacy.language import Language


def create_all(config: RunConfig) -> list[Annotator]:
    """Return the annotators of a run, with its file of code imported."""
    if config.code is not None:
        import_code(config.code)
    annotators = [create(component, config.encoder) for component in config.components]
    for i, annotator in enumerate(annotators):
        if isinstance(annotator, SpacyPipeline):
            annotator.follow(annotators[:i])
    return annotators


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
    if component.factory == FACTORY:
        _check_against(open_pipeline, component, component.settings)
        return open_pipeline(component.name, **component.settings)
    return _create_through_spacy(component, own)


def _create_built_in(component: Component, encoder: EncoderSettings) -> Annotator:
    module, _, name = BUILT_IN[component.factory].partition(":")
    kind = getattr(import_module(module), name)
    _check_against(kind, component, component.own_settings)
    return kind(component.name, encoder=encoder, **component.own_settings)


def _check_against(made_by: Any, component: Component, settings: Mapping[str, Any]) -> None:
    """Hold settings against the names and types that a class or function takes."""
    where = f"Component {component.name!r}"
    known = _parameters(made_by)
    known.pop("encoder", None)  # the settings of encoders are handed over as one
    _check_settings(settings, known, where)
    parameters = inspect.signature(made_by, eval_str=True).parameters
    hints = {name: parameter.annotation for name, parameter in parameters.items()}
    check_types(settings, hints, where)


def _create_through_spacy(component: Component, encoder: EncoderSettings) -> Annotator:
    points = plugin_points()
    if component.factory in points:
        refuse_clash(component.factory)
        load_plugin(points[component.factory])
    nlp = blank()
    if not nlp.has_factory(component.factory):
        pipelines = {f"{SPACY}{name}" for name in installed_pipelines()}
        known = {*default_tree()["components"], *BUILT_IN, *points, *pipelines}
        raise unknown("bertpipe", "component or factory", component.factory, known)
    parameters = _parameters(_factory_function(nlp, component.factory))
    made = _add_pipe(nlp, component, parameters, encoder)
    rest = {key: value for key, value in component.settings.items() if key not in parameters}
    if not hasattr(made, "annotate"):
        return from_component(nlp, component.name, made, rest, parameters)
    check_names(rest, parameters, f"Component {component.name!r}", "setting")
    own = getattr(made, "encoder", None)
    if isinstance(own, EncoderSettings):  # spaCy leaves the hub to the environment
        made.encoder = replace(own, offline=encoder.offline)
    if not isinstance(made.type, pa.DataType):
        raise ConfigError(
            f"Component {component.name!r} of {origin(made)} has the type {made.type!r}; it must "
            "be a pyarrow.DataType."
        )
    return made


def _factory_function(nlp: Language, name: str) -> Any:
    from spacy.util import registry

    internal = nlp.get_factory_name(name)
    return registry.factories.get(internal if internal in registry.factories else name)


def _add_pipe(
    nlp: Language,
    component: Component,
    known: Mapping[str, inspect.Parameter],
    encoder: EncoderSettings,
) -> Any:
    """Return what a factory makes of its settings and of those of the encoder that it takes."""
    defaults = nlp.get_factory_meta(component.factory).default_config or {}
    own = {key: value for key, value in component.settings.items() if key in known}
    _check_settings({**defaults, **own}, known, f"Component {component.name!r}")
    wanted = {key: value for key, value in asdict(encoder).items() if key in known}
    try:
        return nlp.add_pipe(component.factory, name=component.name, config={**own, **wanted})
    except BertpipeError:
        raise
    except Exception as error:
        raise ConfigError(
            f"The factory {component.factory!r} cannot make component {component.name!r} "
            f"({type(error).__name__}: {error}); check its settings."
        ) from error


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
