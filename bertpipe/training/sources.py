"""Read labelled files: CoNLL columns, tables of texts and classes, SQuAD JSON, Docs, plain text."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertpipe.corpus import open_corpus
from bertpipe.errors import CorpusError
from bertpipe.training.examples import Labelled, Question, Sentence, join_sentences
from bertpipe.training.rows import Row, data_files, read_lines, read_rows, unusable
from bertpipe.training.schemes import as_iob2, check_scheme
from bertpipe.training.select import fraction, select
from bertpipe.training.settings import Source
from bertpipe.training.spacy_files import is_spacy, read_labelled_docs, read_tagged_docs
from bertpipe.training.spans import read_spans, split_words, tag_words
from bertpipe.training.squad import read_squad, unanswerable

__all__ = [
    "Labelled",
    "Question",
    "Sentence",
    "fraction",
    "join_sentences",
    "read_conll",
    "read_entities",
    "read_squad",
    "read_table",
    "read_texts",
    "unanswerable",
]
DOCUMENT_MARK = "-DOCSTART-"
SPAN_FORMATS = (".jsonl", ".json", ".parquet", ".csv")


def read_entities(source: Source) -> list[Sentence]:
    """Read words and tags from CoNLL columns, from Docs, or from rows of texts with spans."""
    if is_spacy(source):
        return select(read_tagged_docs(source), source, key=_words)
    if any(path.suffix in SPAN_FORMATS for path in data_files(source.path)):
        return select(list(_tagged_texts(source)), source, key=_words)
    return read_conll(source)


def read_conll(source: Source) -> list[Sentence]:
    """Read word and tag from the first and last column; blank lines end sentences.

    Raises:
        CorpusError: A line has no tag, or a tag does not fit the scheme of the others.
    """
    sentences: list[Sentence] = []
    document = 0
    for path in data_files(source.path):
        for first_line, block in _blocks(path):
            if block[0][0] == DOCUMENT_MARK:
                document += 1
                continue
            words, tags = [columns[0] for columns in block], [columns[-1] for columns in block]
            lines = range(first_line, first_line + len(block))
            sentences.append(Sentence(words, tags, document, str(path), lines=lines))
    check_scheme(sentences, may_mix=source.to_iob2)
    if source.to_iob2:
        found = as_iob2([sentence.tags for sentence in sentences])
        sentences = [replace(s, tags=tags) for s, tags in zip(sentences, found, strict=True)]
    return select(sentences, source, key=_words)


def _blocks(path: Path) -> Iterator[tuple[int, list[list[str]]]]:
    """Yield the columns of each sentence, or of a document's mark, with the number of its line."""
    block: list[list[str]] = []
    for number, line in enumerate([*read_lines(path), ""], start=1):
        columns = line.split()
        if columns and columns[0] != DOCUMENT_MARK:
            if len(columns) < 2:
                raise CorpusError(
                    f"{path} line {number} is {line!r}: give a word and, last, its tag."
                )
            block.append(columns)
            continue
        if block:
            yield number - len(block), block
            block = []
        if columns:
            yield number, [columns]


def _tagged_texts(source: Source) -> Iterator[Sentence]:
    for number, (place, row) in enumerate(read_rows(source)):
        text = row.get(source.text_field)
        if not isinstance(text, str) or source.spans_field not in row:
            name = source.spans_field if isinstance(text, str) else source.text_field
            raise unusable(row, name, place, settings="text_field and spans_field")
        spans = read_spans(row[source.spans_field], text, place)
        words, tags = tag_words(text, spans, place)
        yield Sentence(words, tags, number, place, text, split_words(text))


def _words(sentence: Sentence) -> str:
    return " ".join(sentence.words)


def read_table(source: Source, *, multi_label: bool = False) -> list[Labelled]:
    """Read texts, or pairs, and their classes from JSON lines, CSV, TSV, Parquet or Docs.

    multi_label: a text has a list of labels, or a string that holds any number.

    Raises:
        CorpusError: A row lacks a text or a label, or has several labels where one is wanted.
    """
    if is_spacy(source):
        records = read_labelled_docs(source, multi_label=multi_label)
    else:
        records = [
            _labelled(row, place, source, multi_label=multi_label)
            for place, row in read_rows(source)
        ]
    return select(records, source, key=lambda record: record.text)


def _labelled(row: Row, place: str, source: Source, *, multi_label: bool) -> Labelled:
    fields = [name for name in (source.text_field, source.pair_field) if name is not None]
    texts, label = [row.get(name) for name in fields], row.get(source.label_field)
    missing = [n for n, text in zip(fields, texts, strict=True) if not isinstance(text, str)]
    missing += [source.label_field] if label is None or (label == "" and not multi_label) else []
    if missing:
        names = "text_field, pair_field and label_field"
        raise unusable(row, missing[0], place, settings=names)
    labels = _labels(label, place, source, multi_label=multi_label)
    pair = str(texts[1]) if len(texts) > 1 else None
    return Labelled(str(texts[0]), labels, pair, place)


def _labels(label: Any, place: str, source: Source, *, multi_label: bool) -> tuple[str, ...]:
    if not multi_label:
        if isinstance(label, list | tuple | dict):
            raise CorpusError(
                f"{place}: {source.label_field!r} is {label!r:.60}, not one label; correct it, or "
                "set multi_label = true in the task."
            )
        return (str(label),)
    if isinstance(label, str):
        label = [part.strip() for part in label.split(source.label_separator) if part.strip()]
    values = label if isinstance(label, list | tuple) else [label]
    return tuple(sorted({str(value) for value in values}))


def read_texts(source: Source) -> list[str]:
    """Read texts without labels, in any format that `bertpipe run` reads.

    Raises:
        CorpusError: A text cannot be read.
    """
    if source.columns is not None:
        raise CorpusError(
            f"{source.path}: columns are for files with labels; of texts alone, give the file a "
            "header and name its column with text_field."
        )
    corpus = open_corpus([str(source.path)], text_field=source.text_field, lines=source.lines)
    texts: list[str] = []
    for file in corpus.sources:
        for batch in corpus.read(file):
            for error, text in zip(
                batch["_error"].to_pylist(), batch[source.text_field].to_pylist(), strict=True
            ):
                if error is not None:
                    raise CorpusError(error["message"])
                texts += [text] if text.strip() else []
    return select(texts, source, key=str)
