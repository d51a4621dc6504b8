"""Read what spaCy's `.spacy` files hold: entities, spans and categories of Docs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bertpipe.errors import CorpusError
from bertpipe.training.examples import Labelled, Sentence
from bertpipe.training.rows import data_files
from bertpipe.training.settings import Source
from bertpipe.training.spans import Span, misfit

if TYPE_CHECKING:
    from spacy.tokens import Doc

SUFFIX = ".spacy"
THRESHOLD = 0.5  # from which value on a Doc has a category


def is_spacy(source: Source) -> bool:
    """Tell whether a source holds Docs."""
    return any(path.suffix == SUFFIX for path in data_files(source.path))


def read_docs(source: Source) -> Iterator[tuple[str, "Doc"]]:
    """Yield place and Doc of every Doc of the source's files."""
    import spacy
    from spacy.tokens import DocBin

    vocab = spacy.blank("xx").vocab
    for path in data_files(source.path):
        try:
            docs = list(DocBin().from_disk(path).get_docs(vocab))
        except Exception as error:  # whatever msgpack and zlib say of other bytes
            raise CorpusError(
                f"{path} is no .spacy file ({error}); write it with DocBin."
            ) from error
        for number, doc in enumerate(docs, start=1):
            yield f"{path} document {number}", doc


def read_tagged_docs(source: Source) -> list[Sentence]:
    """Return the words of each Doc with tags from its entities, or from `doc.spans[spans_key]`.

    Raises:
        CorpusError: A Doc has no entities annotated or no such spans, or spans overlap.
    """
    sentences = []
    for number, (place, doc) in enumerate(read_docs(source)):
        key = source.spans_key
        tags = _entity_tags(doc, place) if key is None else _span_tags(doc, key, place)
        words = [i for i, token in enumerate(doc) if not token.is_space]
        sentences.append(
            Sentence(
                [doc[i].text for i in words],
                [tags[i] for i in words],
                number,
                place,
                doc.text,
                [(doc[i].idx, doc[i].idx + len(doc[i])) for i in words],
            )
        )
    return sentences


def read_labelled_docs(source: Source, *, multi_label: bool) -> list[Labelled]:
    """Return the text of each Doc with the categories that it has."""
    records = []
    for place, doc in read_docs(source):
        labels = tuple(sorted(name for name, value in doc.cats.items() if value >= THRESHOLD))
        if not multi_label and len(labels) != 1:
            raise CorpusError(
                f"{place} has {len(labels)} categories of {THRESHOLD} or more in doc.cats, not "
                "one; correct it, or set multi_label = true in the task."
            )
        records.append(Labelled(doc.text, labels, place=place))
    return records


def _entity_tags(doc: "Doc", place: str) -> list[str]:
    if not doc.has_annotation("ENT_IOB"):
        raise CorpusError(
            f"{place} has no entities annotated; set doc.ents, to [] where there are none, or "
            "spans_key to read doc.spans."
        )
    return [
        f"{token.ent_iob_}-{token.ent_type_}" if token.ent_iob_ in ("B", "I") else "O"
        for token in doc
    ]


def _span_tags(doc: "Doc", key: str, place: str) -> list[str]:
    if key not in doc.spans:
        known = ", ".join(doc.spans) or "none"
        raise CorpusError(f"{place} has no spans {key!r} but {known}; correct spans_key.")
    tags = ["O"] * len(doc)
    for span in doc.spans[key]:
        if any(tag != "O" for tag in tags[span.start : span.end]):
            found = Span(span.start_char, span.end_char, span.label_)
            raise misfit(found, place, f"{span.text!r:.60} overlaps another; keep one of them")
        for i in range(span.start, span.end):
            tags[i] = f"{'B' if i == span.start else 'I'}-{span.label_}"
    return tags
