"""Settings of a run and of its components, read from `.cfg` files and command line overrides."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_type_hints

from bertpipe.errors import ConfigError
from bertpipe.settings import (
    Tree,
    check_block,
    check_names,
    check_types,
    interpolate,
    merge,
    nest,
    parse_cfg,
    read_cfg,
    to_list,
    to_seconds,
    to_text,
)

SECTIONS = ("run", "components", "paths")

SPACY = "spacy:"  # before a pipeline of spaCy, among the names of components

TRUNCATIONS = ("window", "head", "error")
ENCODER_OVERRIDES = (
    "device",
    "precision",
    "batch_tokens",
    "max_length",
    "stride",
    "truncation",
)
# The setting with which a component in a pipeline of spaCy names the one that is its encoder.
UPSTREAM = "encoder"


@dataclass(frozen=True)
class EncoderSettings:
    """How an encoder is run; None and "auto" are settled when the model and device are known.

    max_length, stride, batch_tokens count tokens; max_length None is the most the model takes.
    upstream: the component of a spaCy pipeline whose hidden states are read; None runs an encoder.
    """

    device: str = "auto"
    precision: str = "auto"
    batch_tokens: int | None = None
    max_length: int | None = None
    stride: int = 64
    truncation: str = "window"
    offline: bool = False
    compile: bool = False
    upstream: str | None = None

    def __post_init__(self) -> None:
        if self.truncation not in TRUNCATIONS:
            raise ConfigError(
                f"truncation {self.truncation!r} is unknown; use {', '.join(TRUNCATIONS)}."
            )


@dataclass(frozen=True)
class Component:
    """A [components.NAME] block: what makes one annotator and one output column."""

    name: str
    factory: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_settings(self) -> dict[str, Any]:
        """Return the settings that say what is annotated, not how the encoder is run."""
        others = (*ENCODER_OVERRIDES, UPSTREAM)
        return {k: v for k, v in self.settings.items() if k not in others}

    def encoder(self, run: EncoderSettings) -> EncoderSettings:
        """Return how this component's encoder is run: as the run says, but for its overrides."""
        own = {k: v for k, v in self.settings.items() if k in ENCODER_OVERRIDES}
        check_types(own, get_type_hints(EncoderSettings), f"Component {self.name!r}")
        return dataclasses.replace(run, **own)


@dataclass(frozen=True)
class RunConfig:
    """All that decides what a run reads and writes; JSON both ways through to_dict and from_dict.

    document_timeout, commit_every, grace: seconds. workers: None is one a device. tokenizers:
    processes of each worker that tokenise for it; None is none before a CPU. code: a Python file
    with factories.
    """

    components: tuple[Component, ...]
    encoder: EncoderSettings = EncoderSettings()
    code: str | None = None
    text_field: str = "text"
    id_field: str = "id"
    format: str | None = None
    lines: bool = False
    keep: tuple[str, ...] | None = None
    relative_to: str | None = None
    max_document_chars: int = 10_000_000
    max_windows: int | None = None
    document_timeout: float | None = None
    workers: int | None = None
    tokenizers: int | None = None
    commit_every: float = 300.0
    grace: float = 20.0

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the config that `to_dict` wrote."""
        keep = values["keep"]
        return cls(
            **{
                **values,
                "components": tuple(Component(**component) for component in values["components"]),
                "encoder": EncoderSettings(**values["encoder"]),
                "keep": None if keep is None else tuple(keep),
            }
        )


def default_text() -> str:
    """Return the default config as it ships in the package, comments included."""
    return Path(__file__).with_name("default.cfg").read_text(encoding="utf-8")


@cache
def default_tree() -> Tree:
    """Return the sections of the default config; not to be changed."""
    return parse_cfg(default_text(), "default.cfg")


def load_config(
    path: Path | None = None,
    components: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Return the settings of a run: the defaults, changed by a file, changed by overrides.

    components: names of blocks or factories, or `NAME=FACTORY`; None means those of the file.
    overrides: values by dotted name, such as `run.stride` or `components.ner.model`.

    Raises:
        ConfigError: Something is unknown or does not fit; the message names it and what is near.
    """
    tree = load_tree(path, components, overrides)
    if not tree["components"]:
        raise ConfigError("No component is chosen; name some, as in --components ner,sentiment.")
    return _to_run_config(tree)


def load_tree(
    path: Path | None = None,
    components: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Tree:
    """Return the sections behind `load_config`, every setting of a built-in factory filled in."""
    file = read_cfg(path) if path else {}
    check_names(file, SECTIONS, f"The config {path}", "section")
    check_names(file.get("run", ()), default_tree()["run"], "[run]", "setting")
    tree = merge(default_tree(), file)
    chosen = file.get("components", ()) if components is None else components
    tree["components"] = _choose(chosen, tree["components"])
    changes = nest(overrides or {})
    check_names(changes, SECTIONS, "The config", "section")
    for name, section in changes.items():
        check_block(section, name)
    check_names(changes.get("run", ()), default_tree()["run"], "[run]", "setting")
    check_names(changes.get("components", ()), tree["components"], "The run", "component")
    tree = interpolate(merge(tree, changes))
    blocks = tree["components"].items()
    tree["components"] = {name: _complete(name, block) for name, block in blocks}
    return tree


def block_names(path: Path | None = None) -> list[str]:
    """Return the names of all blocks, of the default config and then of the file."""
    file = read_cfg(path) if path else {}
    return list({**default_tree()["components"], **file.get("components", {})})


def config_text(
    path: Path | None = None,
    components: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Return what `load_config` reads as a `.cfg` text, without comments.

    All blocks are in it when none is chosen, neither here nor in the file.
    """
    is_chosen = components is not None or (path and read_cfg(path).get("components"))
    tree = load_tree(path, components if is_chosen else block_names(), overrides)
    _to_run_config(tree)
    return to_text(tree).rstrip("\n")


def _choose(chosen: Iterable[str], blocks: Mapping[str, Tree]) -> dict[str, Tree]:
    """Return the chosen blocks by name; what is no block is a factory without settings."""
    found: dict[str, Tree] = {}
    for each in chosen:
        name, _, source = _named(each).partition("=")
        if not re.fullmatch(r"[^\W_][\w-]*", name):
            cure = "use letters, digits, _ and -"
            if source.startswith(SPACY):
                cure += f", as in my_name={source}"
            raise ConfigError(f"{name!r} cannot name a component; {cure}.")
        if name in found:
            raise ConfigError(f"Component {name!r} is chosen twice; name one anew: NEW={name}.")
        source = source or name
        found[name] = blocks[source] if source in blocks else _block(source)
    return found


def _named(chosen: str) -> str:
    """Return NAME=SOURCE for a pipeline of spaCy without a name: NAME is the end of its path."""
    model = chosen.removeprefix(SPACY)
    return chosen if model == chosen else f"{Path(model).name}={chosen}"


def _block(source: str) -> Tree:
    """Return the block that a name without one stands for."""
    model = source.removeprefix(SPACY)
    return (
        {"factory": _factory(source)} if model == source else {"factory": "spacy", "model": model}
    )


def _factory(name: str) -> str:
    """Return the factory that a name stands for."""
    known = set(_default_settings()) | set(entry_points(group="spacy_factories").names)
    return f"bert_{name}" if f"bert_{name}" in known else name


@cache
def _default_settings() -> dict[str, Tree]:
    """Return the settings of each built-in factory: default.cfg has a block with all of them."""
    blocks = default_tree()["components"].values()
    return {block["factory"]: block for block in blocks}


def _complete(name: str, block: Tree) -> Tree:
    """Fill in what the block of a built-in factory leaves out, and refuse what it cannot have."""
    check_block(block, f"components.{name}")
    if not isinstance(block.get("factory"), str):
        raise ConfigError(f'[components.{name}] has no factory; add factory = "bert_ner".')
    known = _default_settings().get(block["factory"])
    if known is None:
        return block
    named = [key for key in block if key != UPSTREAM]
    check_names(named, {*known, *ENCODER_OVERRIDES}, f"[components.{name}]", "setting")
    return merge(known, block)


def _to_run_config(tree: Tree) -> RunConfig:
    run = dict(tree["run"])
    run["keep"] = to_list(run["keep"])
    for name in ("commit_every", "grace", "document_timeout"):
        if run[name] is not None:
            run[name] = to_seconds(run[name], f"[run] {name}")
    hints = {**get_type_hints(RunConfig), **get_type_hints(EncoderSettings)}
    check_types(run, hints, "[run]")
    encoder = {name: run.pop(name) for name in ("offline", "compile", *ENCODER_OVERRIDES)}
    if run["keep"] is not None:
        run["keep"] = tuple(run["keep"])
    return RunConfig(
        components=tuple(_to_component(name, block) for name, block in tree["components"].items()),
        encoder=EncoderSettings(**encoder),
        **run,
    )


def _to_component(name: str, block: Tree) -> Component:
    settings = {key: value for key, value in block.items() if key != "factory"}
    component = Component(name, block["factory"], settings)
    component.encoder(EncoderSettings())  # refuses overrides that do not fit
    return component
