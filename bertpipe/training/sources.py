"""Read labelled files: CoNLL columns, tables of texts and classes, SQuAD JSON."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from bertpipe.errors import CorpusError
from bertpipe.training.settings import Source


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their tags; `document` counts the `-DOCSTART-` lines before them."""

    words: list[str]
    tags: list[str]
    document: int


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, or a pair of texts, and its class."""

    text: str
    label: str
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a context; `answers` are (start, text), empty where there is none."""

    question: str
    context: str
    answers: tuple[tuple[int, str], ...]
    article: str


R = TypeVar("R")


def read_conll(source: Source) -> list[Sentence]:
    """Read word and tag from the first and last column; blank lines end sentences."""
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    document = 0
    for number, line in enumerate([*_lines(source.path), ""], start=1):
        columns = line.split()
        if columns and columns[0] != "-DOCSTART-":
            if len(columns) < 2:
                raise CorpusError(
                    f"{source.path} line {number} is {line!r}: give a word and, last, its tag."
                )
            words.append(columns[0])
            tags.append(columns[-1])
            continue
        if words:
            sentences.append(Sentence(words, tags, document))
            words, tags = [], []
        document += bool(columns)
    return _part(sentences, source, key=lambda sentence: " ".join(sentence.words))


def join_sentences(sentences: Iterable[Sentence], *, max_words: int) -> list[Sentence]:
    """Join consecutive sentences of a document into stretches of at most `max_words` words."""
    joined: list[Sentence] = []
    for sentence in sentences:
        last = joined[-1] if joined else None
        fits = last is not None and len(last.words) + len(sentence.words) <= max_words
        if last is not None and fits and last.document == sentence.document:
            joined[-1] = Sentence(
                last.words + sentence.words, last.tags + sentence.tags, last.document
            )
        else:
            joined.append(sentence)
    return joined


def read_table(source: Source) -> list[Labelled]:
    """Read texts, or pairs, and classes from TSV or CSV with a header, or from JSON lines."""
    fields = [name for name in (source.text_field, source.pair_field) if name is not None]
    records = []
    for number, row in _rows(source.path):
        texts, label = [row.get(name) for name in fields], row.get(source.label_field)
        missing = [n for n, text in zip(fields, texts, strict=True) if not isinstance(text, str)]
        missing += [source.label_field] if label is None else []
        if missing:
            raise CorpusError(
                f"{source.path} record {number} has no {missing[0]!r}: set text_field, pair_field "
                "and label_field."
            )
        records.append(Labelled(str(texts[0]), str(label), *texts[1:]))
    return _part(records, source, key=lambda record: record.text)


def read_squad(source: Source) -> list[Question]:
    """Read questions from SQuAD JSON, checking every span; add pairs without an answer."""
    questions = [
        Question(item["question"], paragraph["context"], _answers(item, paragraph, source), title)
        for title, paragraph in _paragraphs(source.path)
        for item in paragraph["qas"]
    ]
    chosen = _part(questions, source, key=lambda question: question.article)
    return [*chosen, *unanswerable(chosen, share=source.unanswerable)]


def unanswerable(questions: list[Question], *, share: float, seed: int = 1) -> list[Question]:
    """Pair a `share` of the questions with other contexts of their article."""
    contexts: dict[str, list[str]] = defaultdict(list)
    for question in questions:
        if question.context not in contexts[question.article][-1:]:
            contexts[question.article].append(question.context)
    random = Random(seed)
    pairs = []
    for question in questions:
        others = contexts[question.article]
        if random.random() < share and len(others) > 1:
            context = random.choice(others)
            if not any(text in context for _, text in question.answers):
                pairs.append(Question(question.question, context, (), question.article))
    return pairs


def fraction(key: str) -> float:
    """Map a key to a fixed number in [0, 1) that looks random."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7]) / 2**56


def _part(records: list[R], source: Source, key: Callable[[R], str]) -> list[R]:
    if source.part != "all":
        held_out = source.part == "held_out"
        records = [r for r in records if (fraction(key(r)) < source.held_out) == held_out]
    if source.limit is not None:
        order = sorted(range(len(records)), key=lambda i: fraction(f"{i} {key(records[i])}"))
        records = [records[i] for i in sorted(order[: source.limit])]
    if not records:
        raise CorpusError(f"{source.path} holds no record to use: check part and limit.")
    return records


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = _lines(path)
    if path.suffix == ".jsonl":
        return ((n, json.loads(line)) for n, line in enumerate(lines, start=1) if line.strip())
    if path.suffix == ".csv":
        return enumerate(csv.DictReader(lines), start=1)
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return enumerate(rows, start=1)


def _paragraphs(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    articles = json.loads("\n".join(_lines(path)))["data"]
    for number, article in enumerate(articles):
        for paragraph in article["paragraphs"]:
            yield article.get("title", str(number)), paragraph


def _answers(
    item: dict[str, Any], paragraph: dict[str, Any], source: Source
) -> tuple[tuple[int, str], ...]:
    answers = tuple((answer["answer_start"], answer["text"]) for answer in item["answers"])
    for start, text in answers:
        if paragraph["context"][start : start + len(text)] != text:
            raise CorpusError(
                f"{source.path} question {item.get('id')!r}: the answer {text!r} does not stand "
                f"at {start}; correct answer_start."
            )
    return answers


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise CorpusError(f"The data file {path} does not exist: check the recipe's paths.")
    return path.read_text(encoding="utf-8-sig").split("\n")
