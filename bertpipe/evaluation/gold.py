"""Labelled records as what is scored: texts, and what should be found in them.

The place of a record is its file and line, for messages.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from bertpipe.annotators.tags import OUTSIDE, split
from bertpipe.errors import CorpusError
from bertpipe.training.sources import Labelled, Question, Sentence

BATCH_CHARS, BATCH_RECORDS = 250_000, 1_024
SHOWN_LABELS = 12
IOBES = {"U": "S", "L": "E"}  # by the letters of BILOU
Span = tuple[int, int, str]  # first character, end, label


@dataclass(frozen=True, slots=True)
class Classed:
    """A text, or a pair of texts, and the labels it should get."""

    text: str
    labels: tuple[str, ...]
    pair: str | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the entities in it; words: first character and end of each, where they are given.

    Given words are divided by single spaces, and each has its line.
    """

    text: str
    spans: frozenset[Span]
    words: tuple[tuple[int, int], ...] | None = None
    place: str = field(default="", compare=False)
    lines: Sequence[int] = field(default=(), compare=False)

    def place_of(self, span: Span) -> str:
        """Return file and line of an entity."""
        if not self.lines or self.words is None:
            return self.place
        word = next(i for i, (_, end) in enumerate(self.words) if end > span[0])
        return f"{self.place} line {self.lines[word]}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on a text, and the answers that count; none where there is no answer."""

    text: str
    question: str
    answers: tuple[str, ...]
    place: str = field(default="", compare=False)


Gold = Classed | Marked | Asked


def as_gold(record: Any, rename: Mapping[str, str]) -> Gold:
    """Return a record of a data file as what is scored; rename: the model's label by the data's."""
    if isinstance(record, Sentence):
        if record.text is not None:
            spans = tagged_spans(record.offsets, record.tags, rename)
            return Marked(record.text, spans, place=record.place)
        found = marked_words(record.words, record.tags, rename)
        return replace(found, place=record.place, lines=record.lines)
    if isinstance(record, Question):
        answers = tuple(text for _, text in record.answers)
        return Asked(record.context, record.question, answers, record.place)
    assert isinstance(record, Labelled)
    labels = tuple(rename.get(label, label) for label in record.labels)
    return Classed(record.text, labels, record.pair, record.place)


def marked_words(words: Sequence[str], tags: Sequence[str], rename: Mapping[str, str]) -> Marked:
    """Join words by spaces and mark the entities of the tags."""
    offsets, position = [], 0
    for word in words:
        offsets.append((position, position + len(word)))
        position += len(word) + 1
    return Marked(" ".join(words), tagged_spans(offsets, tags, rename), tuple(offsets))


def tagged_spans(
    offsets: Sequence[tuple[int, int]], tags: Sequence[str], rename: Mapping[str, str]
) -> frozenset[Span]:
    """Return the entities that the CoNLL scorer reads from the tags of words.

    offsets: the first character and the end of each word.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    return frozenset(
        (offsets[first][0], offsets[last][1], rename.get(label, label))
        for label, first, last in get_entities(_as_iobes(tags))
    )


def _as_iobes(tags: Sequence[str]) -> list[str]:
    """Return tags with the letters of IOBES: BILOU has others, and plain labels have none."""
    return [_as_iobes_tag(tag) for tag in tags]


def _as_iobes_tag(tag: str) -> str:
    prefix, label = split(tag)
    if tag == OUTSIDE or prefix:
        return f"{IOBES.get(prefix, prefix)}-{label}" if prefix else tag
    return f"I-{tag}"


def labels_of(records: Iterable[Gold]) -> list[str]:
    """Return the labels that occur, sorted; questions have none."""
    found: set[str] = set()
    for record in records:
        if isinstance(record, Classed):
            found.update(record.labels)
        elif isinstance(record, Marked):
            found.update(label for _, _, label in record.spans)
    return sorted(found)


def check_labels(records: Sequence[Gold], labels: Sequence[str], whose: str) -> None:
    """Raise CorpusError if the data have a label that is not among `labels`."""
    unknown = sorted(set(labels_of(records)) - set(labels))
    if not unknown:
        return
    more = f" and {len(labels) - SHOWN_LABELS} more" if len(labels) > SHOWN_LABELS else ""
    known = ", ".join(labels[:SHOWN_LABELS]) + more
    label, example = unknown[0], (labels or ["LABEL"])[0]
    raise CorpusError(
        f"{place_of(label, records)} has the label {label!r}, which {whose} does not have (it has "
        f"{known}); correct the data or rename it, as in --rename {label}={example}."
    )


def place_of(label: str, records: Iterable[Gold]) -> str:
    """Return file and line of the first of these records that has a label."""
    for record in records:
        if isinstance(record, Classed) and label in record.labels:
            return record.place
        if isinstance(record, Marked):
            for span in sorted(record.spans):
                if span[2] == label:
                    return record.place_of(span)
    raise KeyError(label)


def batches(records: Iterable[Gold]) -> Iterator[list[Gold]]:
    """Yield records in pieces of about BATCH_CHARS characters, and at most BATCH_RECORDS."""
    batch: list[Gold] = []
    n_chars = 0
    for record in records:
        batch.append(record)
        n_chars += len(record.text)
        if n_chars >= BATCH_CHARS or len(batch) == BATCH_RECORDS:
            yield batch
            batch, n_chars = [], 0
    if batch:
        yield batch


def place_of_record(record: Gold) -> str:
    """Return file and line of a record, of several lines the first."""
    if isinstance(record, Marked) and record.lines:
        return f"{record.place} line {record.lines[0]}"
    return record.place


def columns(records: Sequence[Gold]) -> pa.RecordBatch:
    """Return the records as the columns that annotators read: `text`, and `pair` or `question`."""
    found = {"text": [record.text for record in records]}
    if isinstance(records[0], Classed) and records[0].pair is not None:
        found["pair"] = [getattr(record, "pair", "") for record in records]
    if isinstance(records[0], Asked):
        found["question"] = [getattr(record, "question", "") for record in records]
    return pa.record_batch({name: _strings(values, records) for name, values in found.items()})


def _strings(values: Sequence[str], records: Sequence[Gold]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        place = place_of_record(records[values.index(error.object)])
        raise CorpusError(
            f"{place} has a text with a lone surrogate, which is no character, near "
            f"{error.object[max(0, error.start - 20) : error.start]!r}: decode it anew."
        ) from error
