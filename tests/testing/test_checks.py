"""The check of an annotator finds what breaks the contract."""

import pyarrow as pa
import pytest

from bertpipe import docs
from bertpipe.records import NER_TYPE
from bertpipe.testing import TEXTS, check_annotator, same


class Capitals:
    """Finds capital letters; a subclass breaks one promise."""

    name = "capitals"
    type = NER_TYPE
    reads: tuple[str, ...] = ("text",)

    def annotate(self, batch):
        return pa.array([self.find(text) for text in batch["text"].to_pylist()], self.type)

    def find(self, text):
        if text is None:
            return None
        places = [i for i, character in enumerate(text) if character.isupper()]
        return [
            {"start": i, "end": i + 1, "label": "CAPITAL", "score": 1.0, "text": text[i]}
            for i in places
        ]

    def set_annotations(self, doc, annotation):
        docs.set_value(doc, self.name, annotation)


class TooShort(Capitals):
    def annotate(self, batch):
        return super().annotate(batch)[1:]


class OtherType(Capitals):
    def annotate(self, batch):
        return pa.nulls(len(batch))


class InBytes(Capitals):
    def find(self, text):
        found = super().find(text)
        for one in found or ():
            one["start"] = len(text[: one["start"]].encode())
            one["end"] = one["start"] + 1
        return found


class Remembers(Capitals):
    seen = 0

    def find(self, text):
        self.seen += 1
        return super().find(text)[: self.seen] if text is not None else None


class NothingForNull(Capitals):
    def find(self, text):
        return super().find(text) or []


class Forgets(Capitals):
    def set_annotations(self, doc, annotation):
        docs.register()


def test_an_annotator_that_keeps_its_promises_passes():
    check_annotator(Capitals())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (TooShort, "rows gave"),
        (OtherType, "the type is null"),
        (InBytes, "is not (inside|what)"),
        (Remembers, "order of the rows"),
        (NothingForNull, "a null text must give null"),
        (Forgets, "differs from the column"),
    ],
)
def test_a_broken_promise_is_found(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_annotator(broken())


def test_only_numbers_with_a_point_may_differ_a_little():
    assert same([{"a": 1.0, "b": "x"}], [{"a": 1.000001, "b": "x"}])
    assert not same(1.0, 1.1)
    assert not same([1], [2])
    assert not same({"a": 1.0}, {"b": 1.0})
    assert not same(None, [])
    assert not same([1.0], [1.0, 1.0])


def test_the_texts_hold_what_is_hard():
    together = "".join(TEXTS)
    assert {"\x00", "\t", "\r", "\u200d", "\u0308"} <= set(together)
    assert any(not text for text in TEXTS)
    assert len(set(TEXTS)) < len(TEXTS)
