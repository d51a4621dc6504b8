"""A task while it is trained: its labels, windows, model and scores."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertpipe.encoder.quiet import quiet
from bertpipe.errors import CorpusError, ModelError
from bertpipe.training import neighbours
from bertpipe.training.batches import Portion
from bertpipe.training.features import Encoder, Feature, one_window_each
from bertpipe.training.masking import Masker
from bertpipe.training.schemes import common_scheme
from bertpipe.training.settings import Source, TaskSettings
from bertpipe.training.sources import (
    Labelled,
    Sentence,
    join_sentences,
    read_entities,
    read_squad,
    read_table,
    read_texts,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

AUTO_CLASSES = {
    "token_classification": "AutoModelForTokenClassification",
    "text_classification": "AutoModelForSequenceClassification",
    "question_answering": "AutoModelForQuestionAnswering",
    "masked_language_model": "AutoModelForMaskedLM",
    "next_sentence": "AutoModelForNextSentencePrediction",
}
DEV_SEED = 0  # masks of dev files are the same for every training and afterwards


@dataclass(frozen=True)
class Dev:
    """Records to be scored and their windows."""

    records: list[Any]
    features: list[Feature]


@dataclass(frozen=True)
class Task:
    """One head's labels (sorted; none for QA and masks) and data.

    n_records: training records by data file.
    tag_scheme: how the tags of the files mark entities: IOB1, IOB2, BILOU or IOBES; None for plain
    labels and other tasks.
    """

    settings: TaskSettings
    labels: tuple[str, ...]
    train: list[Portion]
    dev: Mapping[str, Dev]
    n_records: Mapping[str, int]
    tag_scheme: str | None = None

    @property
    def name(self) -> str:
        """Return the task's name in the recipe."""
        return self.settings.name

    @property
    def is_masked(self) -> bool:
        """Tell whether tokens are to be hidden from it and found again."""
        return self.settings.kind == "masked_language_model"


def load_task(settings: TaskSettings, tokenizer: "PreTrainedTokenizerBase", *, seed: int) -> Task:
    """Read a task's files, find its labels and cut its windows."""
    records = {name: read_records(settings, source) for name, source in settings.train.items()}
    dev_records = read_dev(settings)
    scheme = None
    if settings.kind == "token_classification":
        scheme = common_scheme([*records.values(), *dev_records.values()])
    labels = find_labels(settings, [record for part in records.values() for record in part])
    cut = Cutter(settings, tokenizer, labels)
    train = [
        Portion(
            cut.for_training(settings.train[name], part, seed=seed), settings.train[name].passes
        )
        for name, part in records.items()
    ]
    counts = {name: len(part) for name, part in records.items()}
    dev = cut.dev(dev_records)
    if settings.kind == "question_answering":
        _check_answers(settings, dev)
    return Task(settings, labels, train, dev, counts, scheme)


def _check_answers(settings: TaskSettings, dev: Mapping[str, Dev]) -> None:
    for name, each in dev.items():
        if not any(record.answers for record in each.records):
            raise CorpusError(
                f"{settings.dev[name].path} has no question with an answer, so no score tells which"
                f" weights are best; give [tasks.{settings.name}.dev] a file that has some."
            )


def load_dev(
    settings: TaskSettings, tokenizer: "PreTrainedTokenizerBase", labels: tuple[str, ...]
) -> Task:
    """Read only a task's dev files, for a model that has these labels."""
    dev = Cutter(settings, tokenizer, labels).dev(read_dev(settings))
    return Task(settings, labels, [], dev, {})


def read_dev(settings: TaskSettings) -> dict[str, list[Any]]:
    """Read the records of the dev files."""
    return {name: read_records(settings, source) for name, source in settings.dev.items()}


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
        if self.settings.kind == "masked_language_model":
            if features := encoder.plain(records):
                return features
            raise CorpusError(f"{source.path} holds no text with a token to hide; give others.")
        ids = {label: i for i, label in enumerate(self.labels)}
        if self.settings.kind == "token_classification":
            return encoder.sentences(records, ids)
        return encoder.texts(records, ids, multi_label=self.settings.multi_label)

    def for_training(self, source: Source, records: list[Any], *, seed: int) -> list[Feature]:
        """Cut training records; a question keeps one window."""
        features = self.windows(source, records)
        if self.settings.kind == "question_answering":
            return one_window_each(features, records, seed=seed)
        return features

    def dev(self, files: Mapping[str, list[Any]]) -> dict[str, Dev]:
        """Cut the records of the dev files."""
        found = {}
        for name, records in files.items():
            self._check_labels(records)
            features = self.windows(self.settings.dev[name], records)
            if self.settings.kind == "masked_language_model":
                mask = Masker(self.tokenizer, seed=DEV_SEED)
                features = [mask(feature, str(i)) for i, feature in enumerate(features)]
            found[name] = Dev(records, features)
        return found

    def _check_labels(self, records: list[Any]) -> None:
        for record in records:
            for number, label in enumerate(labels_of(record)):
                if label not in self.labels:
                    is_word = isinstance(record, Sentence)
                    place = record.place_of(number) if is_word else record.place
                    raise CorpusError(
                        f"{place} has the label {label!r}, which the training files of "
                        f"{self.settings.name} lack: correct or rename it."
                    )


def find_labels(settings: TaskSettings, records: list[Any]) -> tuple[str, ...]:
    """Return the labels that occur, sorted; questions and plain texts have none.

    Raises:
        CorpusError: There is nothing to tell apart, or pairs of sentences have unknown labels.
    """
    found = tuple(sorted({label for record in records for label in labels_of(record)}))
    if settings.kind == "next_sentence":
        if set(found) <= set(neighbours.LABELS):
            return neighbours.LABELS
        raise CorpusError(
            f"The pairs of {settings.name} have the labels {', '.join(found)[:80]}; name them "
            f"{' and '.join(neighbours.LABELS)} in [tasks.{settings.name}.rename]."
        )
    is_classified = settings.kind in ("token_classification", "text_classification")
    if is_classified and len(found) < (1 if settings.multi_label else 2):
        raise CorpusError(
            f"The training files of {settings.name} have only the label "
            f"{', '.join(found) or 'none'!r}, so there is nothing to tell apart; add others."
        )
    return found


def labels_of(record: Any) -> Sequence[str]:
    """Return the labels that a record has."""
    if isinstance(record, Sentence):
        return record.tags
    return record.labels if isinstance(record, Labelled) else ()


def build_model(task: Task, base: Path, *, config: Mapping[str, Any]) -> "PreTrainedModel":
    """Open the base with the task's head; a head already there that fits is kept."""
    return open_model(task, base, config=config)[0]


def open_model(
    task: Task, base: Path, *, config: Mapping[str, Any]
) -> tuple["PreTrainedModel", Collection[str]]:
    """Open the base with the task's head; return it and the names of weights that are new."""
    import transformers

    if task.labels:
        config = {
            **config,
            "id2label": dict(enumerate(task.labels)),
            "label2id": {label: i for i, label in enumerate(task.labels)},
        }
    if task.settings.kind == "question_answering":
        config = {**config, "num_labels": 2}  # start and end, whatever head the base has
    if task.settings.kind == "text_classification":
        problem = "multi_label" if task.settings.multi_label else "single_label"
        config = {**config, "problem_type": f"{problem}_classification"}
    auto = getattr(transformers, AUTO_CLASSES[task.settings.kind])
    try:
        with quiet():
            model, found = auto.from_pretrained(
                base,
                output_loading_info=True,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,
                **config,
            )
    except ValueError as error:  # such as: this architecture has no head of the kind
        reason = " ".join(str(error).split(". ")[0].split())
        raise ModelError(
            f"The base {base} cannot be opened for {task.settings.kind}: {reason[:160]}."
        ) from error
    if task.settings.kind == "token_classification":
        model.config.tag_scheme = task.tag_scheme
    return model.float(), found["missing_keys"]


def least_score(settings: TaskSettings, source: Source) -> float | None:
    """Return the score from which on something counts in a dev file; None if the best always does.

    An answer has to reach one where some questions of the file have none.
    """
    if settings.kind == "question_answering":
        has_all = all(question.answers for question in read_squad(source))
        return None if has_all else settings.threshold
    return settings.threshold if settings.multi_label else None


def read_records(settings: TaskSettings, source: Source) -> list[Any]:
    """Read the records of a data file, with the labels of the model."""
    if settings.kind == "question_answering":
        return read_squad(source)
    if settings.kind == "token_classification":
        sentences = read_entities(source)
        return join_sentences(sentences, max_words=source.join_words or 0)
    if settings.kind == "masked_language_model":
        return read_texts(source)
    if settings.kind == "next_sentence" and source.pair_field is None:
        max_words = source.join_words or 0
        if pairs := neighbours.pair_neighbours(read_texts(source), max_words=max_words):
            return pairs
        raise CorpusError(f"{source.path} has no text of two sentences; give longer texts.")
    return [
        dataclasses.replace(
            record, labels=tuple(settings.rename.get(label, label) for label in record.labels)
        )
        for record in read_table(source, multi_label=settings.multi_label)
    ]
