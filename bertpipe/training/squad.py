"""Read SQuAD JSON: questions on contexts, with and without answers."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from bertpipe.errors import CorpusError
from bertpipe.training.examples import Question
from bertpipe.training.rows import data_files, read_text
from bertpipe.training.select import select
from bertpipe.training.settings import Source

Item = dict[str, Any]


def read_squad(source: Source) -> list[Question]:
    """Read questions from SQuAD JSON, checking every span; add pairs without an answer.

    Raises:
        CorpusError: A file is no SQuAD JSON, or an answer does not stand where it should.
    """
    questions = [question for path in data_files(source.path) for question in _questions(path)]
    chosen = select(questions, source, key=lambda question: question.article)
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


def _questions(path: Path) -> Iterator[Question]:
    try:
        articles = json.loads(read_text(path))["data"]
        for number, article in enumerate(articles):
            for paragraph in article["paragraphs"]:
                for item in paragraph["qas"]:
                    answers = _answers(item, paragraph["context"], path)
                    title = article.get("title", str(number))
                    yield Question(item["question"], paragraph["context"], answers, title)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpusError(
            f"{path} is not as SQuAD JSON is (data, paragraphs, context, qas, question, answers): "
            f"{type(error).__name__} {error}; correct it."
        ) from error


def _answers(item: Item, context: str, path: Path) -> tuple[tuple[int, str], ...]:
    answers = tuple((answer["answer_start"], answer["text"]) for answer in item["answers"])
    for start, text in answers:
        if not text or start < 0 or context[start : start + len(text)] != text:
            raise CorpusError(
                f"{path} question {item.get('id')!r}: the answer {text!r} does not stand "
                f"at {start}; correct answer_start."
            )
    return answers
