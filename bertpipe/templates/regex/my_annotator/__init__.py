"""Finds what a pattern matches."""

import re
from typing import Any

import pyarrow as pa
from spacy.language import Language
from spacy.tokens import Doc

from bertpipe import NER_TYPE, docs


class MyAnnotator:
    """Finds what a pattern matches; the component's name is the label."""

    type = NER_TYPE
    reads = ("text",)

    def __init__(self, name: str, pattern: str) -> None:
        self.name = name
        self.pattern = re.compile(pattern)

    def annotate(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the matches in each text."""
        texts = batch["text"].to_pylist()
        return pa.array([None if text is None else self.find(text) for text in texts], self.type)

    def find(self, text: str) -> list[dict[str, Any]]:
        """Return the matches in a text, those of no character left out."""
        found = [match for match in self.pattern.finditer(text) if match.group()]
        fixed = {"label": self.name, "score": 1.0}
        return [{"start": m.start(), "end": m.end(), "text": m.group(), **fixed} for m in found]

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write the matches to `doc._.bertpipe`."""
        docs.set_value(doc, self.name, annotation)

    __call__ = docs.annotate_doc


@Language.factory("my_annotator", default_config={"pattern": r"\d{4}-\d\d-\d\d"})
def my_annotator(nlp: Language, name: str, pattern: str) -> MyAnnotator:
    """Return the component of a block in a config."""
    return MyAnnotator(name, pattern)
