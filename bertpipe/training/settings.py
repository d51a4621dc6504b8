"""Read a training recipe (`.cfg`) into typed settings."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from bertpipe.errors import ConfigError
from bertpipe.settings import (
    check_block,
    check_names,
    check_types,
    interpolate,
    merge,
    nest,
    read_cfg,
    to_seconds,
)

Kind = Literal[
    "token_classification",
    "text_classification",
    "question_answering",
    "masked_language_model",
    "next_sentence",
]
KINDS = get_args(Kind)
PARTS = ("all", "train", "held_out")
ABOVE_ZERO = (
    "epochs",
    "learning_rate",
    "batch_size",
    "batch_tokens",
    "max_grad_norm",
    "evaluations",
    "patience",
)
SHARES = ("weight_decay", "warmup", "dropout", "attention_dropout", "label_smoothing")
SECTIONS = ("paths", "training", "tasks", "card")
READY = Path(__file__).with_name("recipes")  # that go by their names
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data file, or folder or glob of files, and how much of it is used."""

    path: Path
    passes: float = 1.0  # readings per epoch
    limit: int | None = None  # records, drawn by hash: a smaller limit is a subset of a larger one
    part: Literal["all", "train", "held_out"] = "all"
    held_out: float = 0.1  # share of articles (QA) or texts that `part` keeps away from training
    max_length: int | None = None  # tokens; None means the task's
    text_field: str = "text"
    pair_field: str | None = None  # classes of pairs of texts: the second text
    label_field: str = "label"
    label_separator: str = ","  # between the labels of a text, where a string holds several
    columns: Sequence[str] | None = None  # names, where a CSV or TSV file has no header
    spans_field: str = "spans"  # entities: spans of characters of the text
    spans_key: str | None = None  # .spacy: read doc.spans[spans_key] instead of doc.ents
    lines: bool = False  # text files: each line is a text
    to_iob2: bool = False  # CoNLL: every entity is made to begin with B-, found as conlleval does
    join_words: int | None = None  # CoNLL, next_sentence: join sentences up to so many words
    unanswerable: float = 0.0  # QA: pairs without an answer to add, per answerable question


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What one head learns, and from what."""

    name: str
    kind: Kind
    train: Mapping[str, Source]
    dev: Mapping[str, Source]
    max_length: int = 256  # tokens, special tokens counted
    stride: int = 64  # tokens that neighbouring windows share
    multi_label: bool = False  # text classification: any number of labels can hold
    threshold: float = 0.5  # multi label, and QA without answers: the score from which on it counts
    rename: Mapping[str, str] = field(
        default_factory=dict
    )  # label in the data -> label of the model


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How the weights are changed."""

    epochs: float = 3.0
    learning_rate: float | None = None  # None: by the size of the model
    batch_size: int | None = 32  # windows per step; None: as many as fit batch_tokens
    batch_tokens: int | None = None  # through the device at once, padding counted; None: by device
    weight_decay: float = 0.01  # of matrices; biases and layer norms have none
    warmup: float = 0.1  # share of all steps
    max_grad_norm: float = 1.0
    dropout: float | None = None  # None keeps the base's
    attention_dropout: float | None = None
    freeze_layers: int | Literal["embeddings", "encoder"] | None = None
    freeze_parameters: Sequence[str] = ()  # names of weights, with wildcards
    class_weights: Literal["balanced"] | Mapping[str, float] | None = None  # table: by label
    label_smoothing: float = 0.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    evaluations: int = 1  # per epoch
    patience: int | None = None  # evaluations without a better score that end the training
    checkpoint_every: str = "10m"  # besides one at each evaluation
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"training.{name} is {value}; give a number above 0.")
        for name in SHARES:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ConfigError(f"training.{name} is {value}; give a number from 0 to below 1.")
        to_seconds(self.checkpoint_every, "training.checkpoint_every")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A whole recipe."""

    base: str
    output: Path
    tasks: Mapping[str, TaskSettings]
    training: LoopSettings
    card: Mapping[str, Any]
    paths: Mapping[str, str]


def read_settings(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainSettings:
    """Read a recipe, a file or a ready one; overrides: values by name (`training.epochs`)."""
    recipe, changes = read_cfg(find_recipe(path)), nest(overrides or {})
    for name, section in changes.items():
        check_block(section, name)
    check_names(changes.get("paths", {}), recipe.get("paths", {}), "[paths]", "name")
    return settings_from(interpolate(merge(recipe, changes)))


def find_recipe(path: Path) -> Path:
    """Return the file of a recipe: a path, or the name of one that comes with bertpipe.

    Raises:
        ConfigError: There is neither.
    """
    ready = {each.stem: each for each in sorted(READY.glob("*.cfg"))}
    if path.is_file() or path.suffix or path.name != str(path):
        return path
    if path.name not in ready:
        raise ConfigError(
            f"There is no file and no ready recipe {path.name!r}; give the path of a .cfg file, or "
            f"one of {', '.join(ready)}."
        )
    return ready[path.name]


def settings_from(config: Mapping[str, Any]) -> TrainSettings:
    """Turn the sections of a recipe into settings, refusing unknown and missing names."""
    check_names(config, SECTIONS, "The recipe", "section")
    paths = _section(config, "paths")
    for name in paths:
        if name != "dev":  # without one, a part of the training files is held back
            _required(paths, name, "paths")
    tasks = {name: _task(name, block) for name, block in _section(config, "tasks").items()}
    if not any(task.dev for task in tasks.values()):
        tasks = {name: _holding_back(task) for name, task in tasks.items()}
    return TrainSettings(
        base=str(_required(paths, "base", "paths")),
        output=Path(_required(paths, "output", "paths")),
        tasks=tasks,
        training=_build(LoopSettings, config.get("training", {}), "training"),
        card=config.get("card", {}),
        paths={name: str(value) for name, value in paths.items() if value is not None},
    )


def _task(name: str, block: Mapping[str, Any]) -> TaskSettings:
    where = f"tasks.{name}"
    parts = {
        part: {
            key: _source(f"{where}.{part}.{key}", item)
            for key, item in block[part].items()
            if part == "train" or "path" not in item or item["path"] is not None
        }
        for part in ("train", "dev")
        if part in block
    }
    task = _build(TaskSettings, {"dev": {}, **block, **parts, "name": name}, where)
    _one_of(task.kind, KINDS, f"{where}.kind")
    if task.multi_label and task.kind != "text_classification":
        raise ConfigError(f"{where}.multi_label is for text_classification; leave it out.")
    return task


def _holding_back(task: TaskSettings) -> TaskSettings:
    """Return a task that is scored on the held-out parts of its training files."""
    train, dev = dict(task.train), {}
    for name, source in train.items():
        if source.part == "held_out":
            raise ConfigError(
                f"{task.name} learns from the held-out part of {source.path} and has no dev file, "
                "so nothing would say which weights are best; add a "
                f"[tasks.{task.name}.dev.FILE] section."
            )
        train[name] = dataclasses.replace(source, part="train")
        dev[name] = dataclasses.replace(source, part="held_out", passes=1.0)
    return dataclasses.replace(task, train=train, dev=dev)


def _source(where: str, block: Mapping[str, Any]) -> Source:
    source = _build(Source, block, where)
    _one_of(source.part, PARTS, f"{where}.part")
    return dataclasses.replace(source, path=Path(source.path))


def _build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    check_names(values, [item.name for item in fields], f"[{where}]", "setting")
    check_types(values, get_type_hints(cls), f"[{where}]")
    for item in fields:
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            _required(values, item.name, where)
    return cls(**values)


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not config.get(name):
        raise ConfigError(f"The recipe has no section [{name}]: add it.")
    return config[name]


def _required(values: Mapping[str, Any], name: str, where: str) -> Any:
    if values.get(name) is None:
        raise ConfigError(f"[{where}] lacks {name!r}: set it, for example with --{where}.{name}.")
    return values[name]


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        raise ConfigError(f"{where} is {value!r}: use one of {', '.join(allowed)}.")
