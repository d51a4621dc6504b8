"""Read SQuAD JSON: questions on contexts, with and without answers."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from bertpipe.errors import CorpusError
from bertpipe.training.examples import Question
from bertpipe.training.rows import data_files, read_text
from bertpipe.training.select import select
from bertpipe.training.settings import Source

NOUNS = {list: "a list", str: "a string", int: "a number"}
ID = re.compile(r'(?<!\\)"id"\s*:\s*"([^"\\]+)"')
T = TypeVar("T")


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
                place = f"{question.place}, with another paragraph"
                pairs.append(replace(question, context=context, answers=(), place=place))
    return pairs


def _questions(path: Path) -> Iterator[Question]:
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not readable as SQuAD JSON ({error}); mend it.") from error
    lines = _lines(text)
    for number, article in enumerate(_part(content, "data", list, str(path)), start=1):
        where = f"article {number}"
        for n, paragraph in enumerate(_part(article, "paragraphs", list, f"{path} {where}"), 1):
            title = str(article.get("title", number - 1))
            yield from _paragraph(paragraph, title, path, f"{where} paragraph {n}", lines)


def _lines(text: str) -> Mapping[str, int]:
    """Return the line of each question by its id; nothing where all is on one line."""
    found: dict[str, int] = {}
    line, position = 1, 0
    for match in ID.finditer(text) if "\n" in text.strip() else ():
        line += text.count("\n", position, match.start())
        position = match.start()
        found[match[1]] = line
    return found


def _paragraph(
    paragraph: Any, title: str, path: Path, where: str, lines: Mapping[str, int]
) -> Iterator[Question]:
    context = _part(paragraph, "context", str, f"{path} {where}")
    for number, item in enumerate(_part(paragraph, "qas", list, f"{path} {where}"), start=1):
        own = item.get("id") if isinstance(item, dict) else None
        line = lines.get(str(own))
        place = f"{path}{f' line {line},' if line else ''} {where} question {number}"
        answers = tuple(_answers(item, context, place))
        yield Question(_part(item, "question", str, place), context, answers, title, place)


def _answers(item: Any, context: str, place: str) -> Iterator[tuple[int, str]]:
    for answer in _part(item, "answers", list, place):
        start, text = _part(answer, "answer_start", int, place), _part(answer, "text", str, place)
        if not text or start < 0 or context[start : start + len(text)] != text:
            found = context.find(text) if text else -1
            where = f"at {start} but at {found}" if found >= 0 else "in the context"
            raise CorpusError(
                f"{place}: the answer {text!r:.80} does not stand {where}; correct it."
            )
        yield start, text


def _part(owner: Any, name: str, kind: type[T], place: str) -> T:
    """Return a part of the file that has to be there."""
    found = owner.get(name) if isinstance(owner, dict) else None
    if not isinstance(found, kind):
        raise CorpusError(f"{place} has no {name!r} that is {NOUNS[kind]}; write SQuAD JSON.")
    return found
