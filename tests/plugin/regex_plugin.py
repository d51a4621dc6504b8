"""A plug-in for the tests, as spaCy finds it: see numbers_annotator.py."""

from numbers_annotator import Numbers  # type: ignore[import-not-found]
from spacy.language import Language


@Language.factory("regex_numbers", default_config={"pattern": r"\d+", "seconds": 0.0})
def make(nlp, name, pattern, seconds):
    return Numbers(name, pattern, seconds)
