"""What can stand behind --components on this machine; no model is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import EntryPoint, version
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pyarrow as pa

from bertpipe import __version__
from bertpipe.annotators.code import import_code
from bertpipe.annotators.plugins import (
    BUILT_IN,
    blank,
    clashes,
    load_plugin,
    package_of,
    plugin_points,
)
from bertpipe.annotators.spacy_columns import columns_type
from bertpipe.annotators.spacy_folder import FACTORY, find_pipeline, installed_pipelines
from bertpipe.config import SPACY, Component, block_names, load_config
from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ConfigError, ModelError
from bertpipe.records import (
    CLASSIFICATION_TYPE,
    CLASSIFIED_SPANS_TYPE,
    NER_TYPE,
    QA_TYPE,
    SENTENCES_TYPE,
    SPAN_GROUPS_TYPE,
)

# The types of the classes in BUILT_IN, known without importing torch.
BUILT_IN_TYPES: Mapping[str, pa.DataType] = {
    "bert_ner": NER_TYPE,
    "bert_classifier": CLASSIFICATION_TYPE,
    "bert_qa": QA_TYPE,
}
# spaCy's own components that work as they are, known without importing spaCy.
SPACY_TYPES: Mapping[str, pa.DataType] = {
    "sentencizer": SENTENCES_TYPE,
    "entity_ruler": NER_TYPE,
    "span_ruler": SPAN_GROUPS_TYPE,
}


@dataclass(frozen=True)
class Listed:
    """A component that can be chosen.

    type: of its column, as Arrow writes it; None where it depends on the settings.
    path, labels: of its model, when that is on this machine. problem: why it cannot be used.
    """

    name: str
    factory: str
    package: str
    version: str
    model: str | None = None
    type: str | None = None
    path: str | None = None
    labels: tuple[str, ...] = ()
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the component as plain JSON values."""
        return {**asdict(self), "labels": list(self.labels)}


def list_components(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> list[Listed]:
    """Return the blocks of the config, after them the factories that have no block.

    Those are of plug-ins, of the run's file of code and of spaCy; at the end are spaCy's installed
    pipelines. A plug-in that cannot be imported and a model that is not there are a `problem` of
    their own component and of no other.
    """
    points = plugin_points()
    config = load_config(path, block_names(path), overrides)
    coded = {} if config.code is None else _factories_in(import_code(config.code))
    used = {component.factory for component in config.components}
    others = [Component(_short(name), name) for name in sorted(points.keys() - coded.keys() - used)]
    own = [Component(name, name) for name in coded if name not in used]
    rules = [Component(name, name) for name in SPACY_TYPES if name not in {*used, *coded}]
    trained = [
        Component(f"{SPACY}{each}", FACTORY, {"model": each}) for each in installed_pipelines()
    ]
    listed = [
        _of_code(each, coded[each.factory], Path(str(config.code)).name)
        if each.factory in coded
        else _listed(each, points)
        for each in (*config.components, *others, *own, *rules, *trained)
    ]
    return [*listed, *(_clash(point, owner) for point, owner in clashes())]


def _clash(point: EntryPoint, owner: str) -> Listed:
    package, _, version = package_of(point).rpartition(" ")
    problem = f"The package {owner} has the factory {point.name!r} too; uninstall one of them."
    return Listed(_short(point.name), point.name, package, version, problem=problem)


def _short(factory: str) -> str:
    """Return the name that --components understands: the factory without the prefix bert_."""
    return factory.removeprefix("bert_")


def _listed(component: Component, points: Mapping[str, EntryPoint]) -> Listed:
    if component.factory in BUILT_IN:
        per_sentence = component.settings.get("per") == "sentence"
        kind = str(CLASSIFIED_SPANS_TYPE if per_sentence else BUILT_IN_TYPES[component.factory])
        listed = Listed(component.name, component.factory, "bertpipe", __version__, type=kind)
        return _with_model(listed, component.settings)
    if component.factory == FACTORY:
        return _with_pipeline(component)
    if component.factory not in points:
        return _with_spacy(component)
    return _with_plugin(component, points[component.factory])


def _with_pipeline(component: Component) -> Listed:
    model = str(component.settings.get("model"))
    listed = Listed(component.name, FACTORY, "", "", model=model)
    try:
        folder = find_pipeline(model)
    except ModelError as error:
        return replace(listed, problem=str(error))
    package, _, release = folder.origin.removeprefix("package ").partition(" ")
    return replace(listed, package=package, version=release, path=str(folder.path))


def _with_spacy(component: Component) -> Listed:
    listed = Listed(component.name, component.factory, "spacy", version("spacy"))
    if component.factory in SPACY_TYPES:
        chosen = component.settings.get("columns")
        kind = columns_type(chosen) if chosen else SPACY_TYPES[component.factory]
        return replace(listed, type=str(kind))
    if blank().has_factory(component.factory):
        return listed
    problem = f"No installed package has the factory {component.factory!r}."
    return Listed(component.name, component.factory, "", "", problem=problem)


def _factories_in(module: ModuleType) -> dict[str, Any]:
    """Return the factories that a module has registered in spaCy, by name."""
    from spacy.language import Language
    from spacy.util import registry

    metas = Language._factory_meta.items()
    known = {meta.factory: registry.factories.get(key) for key, meta in metas}
    return {name: made for name, made in known.items() if made.__module__ == module.__name__}


def _of_code(component: Component, factory: Any, file: str) -> Listed:
    listed = Listed(component.name, component.factory, file, "", type=_type_name(factory))
    return _with_model(listed, {**_factory_defaults(component.factory), **component.settings})


def _with_plugin(component: Component, point: EntryPoint) -> Listed:
    package, _, version = package_of(point).rpartition(" ")
    listed = Listed(component.name, component.factory, package, version)
    try:
        factory = load_plugin(point)
    except ConfigError as error:
        return replace(listed, problem=str(error))
    listed = replace(listed, type=_type_name(factory))
    return _with_model(listed, {**_factory_defaults(point.name), **component.settings})


def _type_name(factory: Any) -> str | None:
    kind = _column_type(factory)
    return None if kind is None else str(kind)


def _column_type(factory: Any) -> pa.DataType | None:
    """Return the type of the column of what a factory returns, if its hint says so.

    The hint is a class with a `type`, or `Annotated[Any, TYPE]` where that class is costly to load.
    """
    try:
        made = get_type_hints(factory, include_extras=True).get("return")
    except NameError:  # a hint that only type checkers can read
        return None
    kinds = (getattr(made, "type", None), *getattr(made, "__metadata__", ()))
    return next((kind for kind in kinds if isinstance(kind, pa.DataType)), None)


def _factory_defaults(factory: str) -> Mapping[str, Any]:
    from spacy.language import Language

    if factory not in Language._factory_meta:
        return {}
    return Language.get_factory_meta(factory).default_config or {}


def _with_model(listed: Listed, settings: Mapping[str, Any]) -> Listed:
    """Add the model, its folder and its labels; a model that is not here is a problem."""
    model = settings.get("model")
    if not isinstance(model, str):
        return listed
    listed = replace(listed, model=model)
    try:
        folder = resolve(model, revision=settings.get("revision"), offline=True).path
    except ModelError as error:
        return replace(listed, problem=str(error))
    listed = replace(listed, path=str(folder))
    if listed.type == str(QA_TYPE):  # the labels of such a model mean nothing
        return listed
    return replace(listed, labels=_read_labels(folder, settings.get("labels")))


def _read_labels(folder: Path, renamed: Any) -> tuple[str, ...]:
    """Return the labels of a model in order, under the names that the settings give them."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    labels = config.get("id2label", {})
    names = [labels[key] for key in sorted(labels, key=int)]
    return tuple(renamed.get(name, name) if isinstance(renamed, dict) else name for name in names)
