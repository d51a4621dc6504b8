"""Labelled records as what is scored: texts, and what should be found in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertpipe.annotators.tags import OUTSIDE, split
from bertpipe.errors import CorpusError
from bertpipe.training.sources import Labelled, Question, Sentence

BATCH_CHARS = 250_000
IOBES = {"U": "S", "L": "E"}  # by the letters of BILOU
Span = tuple[int, int, str]  # first character, end, label


@dataclass(frozen=True, slots=True)
class Classed:
    """A text, or a pair of texts, and the labels it should get."""

    text: str
    labels: tuple[str, ...]
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the entities in it; words: first character and end of each, where they are given.

    Given words are divided by single spaces.
    """

    text: str
    spans: frozenset[Span]
    words: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on a text, and the answers that count; none where there is no answer."""

    text: str
    question: str
    answers: tuple[str, ...]


Gold = Classed | Marked | Asked


def as_gold(record: Any, rename: Mapping[str, str]) -> Gold:
    """Return a record of a data file as what is scored; rename: the model's label by the data's."""
    if isinstance(record, Sentence):
        if record.text is not None:
            spans = tagged_spans(record.offsets, record.tags, rename)
            return Marked(record.text, spans)
        return marked_words(record.words, record.tags, rename)
    if isinstance(record, Question):
        return Asked(record.context, record.question, tuple(text for _, text in record.answers))
    assert isinstance(record, Labelled)
    labels = tuple(rename.get(label, label) for label in record.labels)
    return Classed(record.text, labels, record.pair)


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


def batches(records: Iterable[Gold]) -> Iterator[list[Gold]]:
    """Yield records in pieces of about BATCH_CHARS characters."""
    batch: list[Gold] = []
    n_chars = 0
    for record in records:
        batch.append(record)
        n_chars += len(record.text)
        if n_chars >= BATCH_CHARS:
            yield batch
            batch, n_chars = [], 0
    if batch:
        yield batch


def columns(records: Sequence[Gold], path: Path) -> pa.RecordBatch:
    """Return the records as the columns that annotators read: `text`, and `pair` or `question`."""
    found = {"text": [record.text for record in records]}
    if isinstance(records[0], Classed) and records[0].pair is not None:
        found["pair"] = [getattr(record, "pair", "") for record in records]
    if isinstance(records[0], Asked):
        found["question"] = [getattr(record, "question", "") for record in records]
    return pa.record_batch({name: _strings(values, path) for name, values in found.items()})


def _strings(values: Sequence[str], path: Path) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"{path} has a text with a lone surrogate, which is no character, near "
            f"{error.object[max(0, error.start - 20) : error.start]!r}: decode it anew."
        ) from error
