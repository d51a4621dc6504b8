"""Check that tags keep to one scheme: IOB1, IOB2, BILOU, IOBES, or plain labels."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from bertpipe.annotators.tags import (
    ENDED,
    GOES_ON,
    IOB1,
    IOB2,
    OPEN,
    OUTSIDE,
    find_prefixes,
    has_ends,
    may_follow,
    split,
)
from bertpipe.errors import CorpusError
from bertpipe.training.examples import Sentence


def check_scheme(sentences: Sequence[Sentence], *, may_mix: bool = False) -> None:
    """Raise CorpusError for the first tag that does not fit the scheme of the others.

    may_mix: whether some entities may begin with B- and others with I-.
    """
    labels = sorted({tag for sentence in sentences for tag in sentence.tags})
    scheme = find_prefixes(labels)
    if not any(split(label)[0] in scheme for label in labels):
        return  # plain labels
    wrong = {label for label in labels if label != OUTSIDE and split(label)[0] not in scheme}
    must_end = has_ends(labels)
    for sentence in sentences:
        tags = sentence.tags
        for position, tag in enumerate(tags):
            before = tags[position - 1] if position else OUTSIDE
            after = tags[position + 1] if position + 1 < len(tags) else OUTSIDE
            where = f"{sentence.place_of(position)}: the tag {tag!r}"
            if tag in wrong:
                raise CorpusError(
                    f"{where} has no prefix of the scheme {names(scheme)}; correct it."
                )
            if must_end and not follows(before, tag):
                raise CorpusError(f"{where} does not go on {before!r} before it; correct it.")
            if must_end and split(tag)[0] in OPEN and not follows(tag, after):
                raise CorpusError(f"{where} is not ended by {after!r} behind it; correct it.")
    if not (must_end or may_mix):
        check_beginnings(sentences)


def check_beginnings(sentences: Sequence[Sentence]) -> None:
    """Raise CorpusError if some entities begin as in IOB1 and others as in IOB2."""
    found: dict[str, list[str]] = {"B-": [], "I-": []}
    for sentence in sentences:
        for position, _ in beginnings(sentence.tags):
            tag = sentence.tags[position]
            found[tag[:2]].append(f"{sentence.place_of(position)}: the tag {tag!r}")
    (rare, where), (usual, others) = sorted(found.items(), key=lambda item: len(item[1]))
    if where:
        raise CorpusError(
            f"{where[0]} begins an entity, as {rare} does {times(len(where))} and {usual} "
            f"{times(len(others))}; correct it, or set to_iob2 = true in the section of the file, "
            "by which every entity begins with B-."
        )


def beginnings(tags: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield place and scheme of the tags that begin an entity as only one of IOB1 and IOB2 does.

    A B- behind an entity of its own type is a beginning in both.
    """
    for position, (before, tag) in enumerate(pairwise([OUTSIDE, *tags])):
        prefix, kind = split(tag)
        is_behind = split(before)[0] in OPEN and split(before)[1] == kind
        if prefix in OPEN and not is_behind:
            yield position, IOB2 if prefix == "B" else IOB1


def scheme_of(sentences: Sequence[Sentence]) -> tuple[str, str] | None:
    """Return the scheme of a file, and a place that shows it; None where nothing does."""
    labels = {tag for sentence in sentences for tag in sentence.tags}
    prefixes = find_prefixes(sorted(labels))
    for name, (letters, _) in ENDED.items():
        if prefixes == letters:
            return name, sentences[0].place_of(0)
    found = (
        (scheme, sentence.place_of(position))
        for sentence in sentences
        for position, scheme in beginnings(sentence.tags)
    )
    return next(found, None)


def common_scheme(files: Iterable[Sequence[Sentence]]) -> str | None:
    """Return the scheme that all files have; None for plain labels.

    Raises:
        CorpusError: Two files have different ones.
    """
    found = dict(filter(None, map(scheme_of, files)))
    if len(found) > 1:
        (one, place), (other, other_place), *_ = found.items()
        raise CorpusError(
            f"{other_place} has tags of {other}, and {place} of {one}; set to_iob2 = true in the "
            "section of each file, by which every entity begins with B-."
        )
    return next(iter(found), None)


def as_iob2(sentences: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return tags whose entities all begin with B-, found as the CoNLL scorer finds them."""
    prefixes = find_prefixes(sorted({tag for tags in sentences for tag in tags}))
    return [list(_as_iob2(tags, prefixes)) for tags in sentences]


def _as_iob2(tags: Sequence[str], prefixes: frozenset[str]) -> Iterator[str]:
    for before, tag in pairwise([OUTSIDE, *tags]):
        prefix, kind = split(tag, prefixes)
        goes_on = prefix in GOES_ON and may_follow(split(before, prefixes), (prefix, kind))
        yield f"{'I' if goes_on else 'B'}-{kind}" if prefix else tag


def follows(before: str, tag: str) -> bool:
    """Tell whether a tag may stand behind another where every entity has an end."""
    return may_follow(split(before), split(tag), must_end=True)


def goes_on(tag: str, labels: Collection[str]) -> str | None:
    """Return the tag behind `tag` within one word; None where a scheme marks ends, or lacks it."""
    prefix, kind = split(tag)
    if not prefix:
        return tag
    if any(split(label)[0] not in ("", *OPEN) for label in labels):
        return None
    return f"I-{kind}" if f"I-{kind}" in labels else None


def names(scheme: frozenset[str]) -> str:
    """Return the prefixes as a message names them."""
    return ", ".join(f"{prefix}-" for prefix in sorted(scheme))


def times(n: int) -> str:
    """Return how often, in words."""
    return "once" if n == 1 else f"{n:,} times"
