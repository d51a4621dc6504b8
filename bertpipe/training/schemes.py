"""Check that tags keep to one scheme: IOB1, IOB2, BILOU, IOBES, or plain labels."""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from bertpipe.annotators.tags import OPEN, OUTSIDE, find_prefixes, has_ends, may_follow, split
from bertpipe.errors import CorpusError

Place = tuple[str, int]  # of a sentence: its file and the line of its first word


def check_scheme(sentences: Sequence[Sequence[str]], places: Sequence[Place]) -> None:
    """Raise CorpusError for the first tag that does not fit the scheme of the others."""
    labels = sorted({tag for tags in sentences for tag in tags})
    scheme = find_prefixes(labels)
    if not any(split(label)[0] in scheme for label in labels):
        return  # plain labels
    wrong = {label for label in labels if label != OUTSIDE and split(label)[0] not in scheme}
    must_end = has_ends(labels)
    for tags, (path, first_line) in zip(sentences, places, strict=True):
        for position, tag in enumerate(tags):
            before = tags[position - 1] if position else OUTSIDE
            after = tags[position + 1] if position + 1 < len(tags) else OUTSIDE
            where = f"{path} line {first_line + position}: the tag {tag!r}"
            if tag in wrong:
                raise CorpusError(
                    f"{where} has no prefix of the scheme {names(scheme)}; correct it."
                )
            if must_end and not follows(before, tag):
                raise CorpusError(f"{where} does not go on {before!r} before it; correct it.")
            if must_end and split(tag)[0] in OPEN and not follows(tag, after):
                raise CorpusError(f"{where} is not ended by {after!r} behind it; correct it.")


def is_iob2(sentences: Iterable[Sequence[str]]) -> bool:
    """Tell whether every entity begins with B-, so that I- only goes on."""
    has_begun = False
    for tags in sentences:
        for before, tag in pairwise([OUTSIDE, *tags]):
            prefix = split(tag)[0]
            if prefix == "I" and not may_follow(split(before), split(tag)):
                return False
            has_begun = has_begun or prefix == "B"
    return has_begun


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
