"""What a training learns from: words with tags, texts with classes, questions with answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from bertpipe.annotators.tags import GOES_ON, OUTSIDE, split


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their tags; `document` counts the documents before it in its file.

    place: file and line, for messages, or the file where each word has a line of its own; these are
    lines then. text: what the words were found in, where that is known, and offsets: the first
    character and the end of each word there.
    """

    words: list[str]
    tags: list[str]
    document: int
    place: str = field(default="", compare=False)
    text: str | None = field(default=None, compare=False)
    offsets: Sequence[tuple[int, int]] = field(default=(), compare=False)
    lines: Sequence[int] = field(default=(), compare=False)

    def place_of(self, word: int) -> str:
        """Return file and line of a word."""
        return f"{self.place} line {self.lines[word]}" if self.lines else self.place

    def laid_out(self) -> tuple[str, Sequence[tuple[int, int]]]:
        """Return a text and where its words are; of one that is unknown, spaces part the words."""
        if self.text is not None:
            return self.text, self.offsets
        ends = list(accumulate(len(word) + 1 for word in self.words))
        offsets = [(end - 1 - len(w), end - 1) for w, end in zip(self.words, ends, strict=True)]
        return " ".join(self.words), offsets


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, or a pair of texts, and its classes: one, or any number where several can hold."""

    text: str
    labels: tuple[str, ...]
    pair: str | None = None
    place: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """Return the only class."""
        (label,) = self.labels
        return label


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a context; `answers` are (start, text), empty where there is none.

    place: where it stands in its file, for messages.
    """

    question: str
    context: str
    answers: tuple[tuple[int, str], ...]
    article: str
    place: str = field(default="", compare=False)


def join_sentences(sentences: Iterable[Sentence], *, max_words: int) -> list[Sentence]:
    """Join consecutive sentences of a document into stretches of at most `max_words` words.

    Where two entities would become one, as in IOB1, a new stretch begins.
    """
    joined: list[Sentence] = []
    for sentence in sentences:
        last = joined[-1] if joined else None
        n_words = len(sentence.words) + (len(last.words) if last else 0)
        if last and n_words <= max_words and _may_join(last, sentence):
            joined[-1] = Sentence(
                last.words + sentence.words,
                last.tags + sentence.tags,
                last.document,
                last.place,
                lines=[*last.lines, *sentence.lines],
            )
        else:
            joined.append(sentence)
    return joined


def _may_join(one: Sentence, other: Sentence) -> bool:
    is_near = (one.place, one.document) == (other.place, other.document)
    return is_near and not runs_on(one.tags[-1], other.tags[0])


def runs_on(before: str, after: str) -> bool:
    """Tell whether two tags, one behind the other, are of one entity."""
    prefix, kind = split(after)
    is_of_entity = after != OUTSIDE and (not prefix or prefix in GOES_ON)
    return is_of_entity and split(before)[1] == kind
