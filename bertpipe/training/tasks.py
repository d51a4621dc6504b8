"""A task while it is trained: its labels, windows, model and scores."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertpipe.errors import CorpusError
from bertpipe.training.base import quiet
from bertpipe.training.batches import Portion
from bertpipe.training.features import Encoder, Feature, one_window_each
from bertpipe.training.settings import Source, TaskSettings
from bertpipe.training.sources import (
    Labelled,
    Sentence,
    join_sentences,
    read_entities,
    read_squad,
    read_table,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

AUTO_CLASSES = {
    "token_classification": "AutoModelForTokenClassification",
    "text_classification": "AutoModelForSequenceClassification",
    "question_answering": "AutoModelForQuestionAnswering",
}


@dataclass(frozen=True)
class Dev:
    """Records to be scored and their windows."""

    records: list[Any]
    features: list[Feature]


@dataclass(frozen=True)
class Task:
    """One head's labels (sorted; none for QA) and data."""

    settings: TaskSettings
    labels: tuple[str, ...]
    train: list[Portion]
    dev: Mapping[str, Dev]
    n_records: Mapping[str, int]  # training records by data file

    @property
    def name(self) -> str:
        """Return the task's name in the recipe."""
        return self.settings.name


def load_task(settings: TaskSettings, tokenizer: "PreTrainedTokenizerBase", *, seed: int) -> Task:
    """Read a task's files, find its labels and cut its windows."""
    records = {name: read_records(settings, source) for name, source in settings.train.items()}
    labels = find_labels([record for part in records.values() for record in part])
    cut = Cutter(settings, tokenizer, labels)
    train = [
        Portion(
            cut.for_training(settings.train[name], part, seed=seed), settings.train[name].passes
        )
        for name, part in records.items()
    ]
    counts = {name: len(part) for name, part in records.items()}
    return Task(settings, labels, train, cut.dev(), counts)


def load_dev(
    settings: TaskSettings, tokenizer: "PreTrainedTokenizerBase", labels: tuple[str, ...]
) -> Task:
    """Read only a task's dev files, for a model that has these labels."""
    return Task(settings, labels, [], Cutter(settings, tokenizer, labels).dev(), {})


@dataclass(frozen=True)
class Cutter:
    """Cuts the windows of one task."""

    settings: TaskSettings
    tokenizer: "PreTrainedTokenizerBase"
    labels: tuple[str, ...]

    def windows(self, source: Source, records: list[Any]) -> list[Feature]:
        """Cut records as use will."""
        max_length = source.max_length or self.settings.max_length
        encoder = Encoder(self.tokenizer, max_length, self.settings.stride)
        if self.settings.kind == "question_answering":
            return encoder.questions(records)
        ids = {label: i for i, label in enumerate(self.labels)}
        if self.settings.kind == "token_classification":
            return encoder.sentences(records, ids)
        return encoder.texts(records, ids)

    def for_training(self, source: Source, records: list[Any], *, seed: int) -> list[Feature]:
        """Cut training records; a question keeps one window."""
        features = self.windows(source, records)
        if self.settings.kind == "question_answering":
            return one_window_each(features, records, seed=seed)
        return features

    def dev(self) -> dict[str, Dev]:
        """Read and cut the dev files."""
        found = {}
        for name, source in self.settings.dev.items():
            records = read_records(self.settings, source)
            if unknown := set(find_labels(records)) - set(self.labels):
                raise CorpusError(
                    f"{source.path} has the label {min(unknown)!r}, which the training files of "
                    f"{self.settings.name} lack: correct or rename it."
                )
            found[name] = Dev(records, self.windows(source, records))
        return found


def find_labels(records: list[Any]) -> tuple[str, ...]:
    """Return the labels that occur, sorted; questions have none."""
    if isinstance(records[0], Sentence):
        return tuple(sorted({tag for record in records for tag in record.tags}))
    if isinstance(records[0], Labelled):
        return tuple(sorted({label for record in records for label in record.labels}))
    return ()


def build_model(task: Task, base: Path, *, config: Mapping[str, Any]) -> "PreTrainedModel":
    """Open the base with the task's head; a head already there that fits is kept."""
    import transformers

    if task.labels:
        config = {
            **config,
            "id2label": dict(enumerate(task.labels)),
            "label2id": {label: i for i, label in enumerate(task.labels)},
        }
    auto = getattr(transformers, AUTO_CLASSES[task.settings.kind])
    with quiet():
        model = auto.from_pretrained(
            base,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            **config,
        )
    return model.float()


def read_records(settings: TaskSettings, source: Source) -> list[Any]:
    """Read the records of a data file, with the labels of the model."""
    if settings.kind == "question_answering":
        return read_squad(source)
    if settings.kind == "token_classification":
        sentences = read_entities(source)
        return join_sentences(sentences, max_words=source.join_words or 0)
    return [
        dataclasses.replace(
            record, labels=tuple(settings.rename.get(label, label) for label in record.labels)
        )
        for record in read_table(source, multi_label=settings.multi_label)
    ]
