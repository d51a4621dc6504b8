"""Pairs of sentences for next-sentence prediction: neighbours, and sentences that are none."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from bertpipe.annotators.sentences import split_sentences
from bertpipe.training.examples import Labelled

NEXT, NOT_NEXT = "next", "not_next"
LABELS = (NEXT, NOT_NEXT)  # in the order of the scores of BERT's head


def pair_neighbours(texts: Sequence[str], *, max_words: int = 0, seed: int = 1) -> list[Labelled]:
    """Pair each sentence with the next one or, half of the time, with one from elsewhere.

    That is from another text; where there is only one, from another place of it. max_words: as many
    sentences as have so many words together count as one. Devlin et al. 2019, section 3.1, where
    they fill the window.
    """
    documents = [joined(sentences_of(text), max_words=max_words) for text in texts]
    documents = [sentences for sentences in documents if sentences]
    random = Random(seed)
    records = []
    for number, sentences in enumerate(documents):
        for position, (first, second) in enumerate(pairwise(sentences), start=1):
            other = _elsewhere(documents, number, random) if random.random() < 0.5 else second
            label = NEXT if other == second else NOT_NEXT
            place = f"text {number + 1}, sentence {position}"
            records.append(Labelled(first, (label,), other, place))
    return records


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text as spaCy's rules find them, white space squeezed."""
    found = (" ".join(text[start:end].split()) for start, end in split_sentences(text))
    return [sentence for sentence in found if sentence]


def joined(sentences: Sequence[str], *, max_words: int) -> list[str]:
    """Join neighbouring sentences up to so many words; a longer sentence stays alone."""
    found: list[list[str]] = []
    room = 0
    for sentence in sentences:
        n_words = len(sentence.split())
        if n_words > room or not found:
            found.append([])
            room = max_words
        found[-1].append(sentence)
        room -= n_words
    return [" ".join(part) for part in found]


def _elsewhere(documents: Sequence[Sequence[str]], number: int, random: Random) -> str:
    if len(documents) > 1:
        number = (number + random.randrange(1, len(documents))) % len(documents)
    return random.choice(documents[number])
