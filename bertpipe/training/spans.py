"""From characters to words: texts with spans become words with tags."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bertpipe.annotators.words import word_characters
from bertpipe.errors import CorpusError


class Span(NamedTuple):
    """Characters `start` to before `end` of a text, and what they are."""

    start: int
    end: int
    label: str


def split_words(text: str) -> list[tuple[int, int]]:
    """Return where words begin and end: runs of letters, digits and marks, else single characters.

    In scripts that put no space between words, each character is one.
    """
    of_word = word_characters()
    words: list[tuple[int, int]] = []
    for i, character in enumerate(text):
        if character.isspace():
            continue
        if words and words[-1][1] == i and of_word[ord(text[i - 1])] and of_word[ord(character)]:
            words[-1] = words[-1][0], i + 1
        else:
            words.append((i, i + 1))
    return words


def tag_words(text: str, spans: Iterable[Span], place: str) -> tuple[list[str], list[str]]:
    """Return the words of a text and their IOB2 tags.

    Raises:
        CorpusError: A span does not lie in the text, begins or ends inside a word, or overlaps.
    """
    words = split_words(text)
    tags = ["O"] * len(words)
    for span in sorted(spans):
        if not 0 <= span.start < span.end <= len(text):
            raise misfit(span, place, f"the text has {len(text):,} characters; correct them")
        inside = [
            i for i, (start, end) in enumerate(words) if start < span.end and end > span.start
        ]
        quoted = repr(text[span.start : span.end])[:60]
        if not inside:
            raise misfit(span, place, f"{quoted} holds no word; remove it")
        if words[inside[0]][0] < span.start or words[inside[-1]][1] > span.end:
            raise misfit(span, place, f"{quoted} begins or ends inside a word; correct it")
        if any(tags[i] != "O" for i in inside):
            raise misfit(span, place, f"{quoted} overlaps another; keep one of them")
        tags[inside[0]] = f"B-{span.label}"
        for i in inside[1:]:
            tags[i] = f"I-{span.label}"
    return [text[start:end] for start, end in words], tags


def misfit(span: Span, place: str, why: str) -> CorpusError:
    """Return the error of a span that does not fit."""
    return CorpusError(f"{place}: the span {span.start} to {span.end} ({span.label}): {why}.")


def read_spans(values: Any, text: str, place: str) -> list[Span]:
    """Read spans from a row: each an object with start, end and label, or a list of these three.

    Raises:
        CorpusError: A span is something else, or its `text` is not what stands there.
    """
    if not isinstance(values, list | tuple | None):
        raise CorpusError(
            f"{place}: the spans are {values!r:.60}, which is no list; keep them in JSONL or "
            "Parquet."
        )
    return [_span(value, text, place) for value in values or ()]


def _span(value: Any, text: str, place: str) -> Span:
    given = value if isinstance(value, Mapping) else {}
    parts = [given.get(name) for name in Span._fields] if given else value
    if not isinstance(parts, list | tuple) or [*map(type, parts)] != [int, int, str]:
        raise CorpusError(
            f"{place}: the span {value!r:.80} has no start, end (numbers of characters) and label."
        )
    span = Span(*parts)
    expected = given.get("text")
    if expected is not None and text[span.start : span.end] != expected:
        raise misfit(span, place, f"{expected!r:.60} does not stand there; correct start and end")
    return span
