"""Checks for annotators and tiny models to check them with, for us and for authors of plug-ins."""

from bertpipe.testing.checks import check_annotator, same
from bertpipe.testing.models import ARCHITECTURES, tiny_model
from bertpipe.testing.texts import TEXTS
from bertpipe.testing.tokenizers import TOKENIZERS, tiny_tokenizer

__all__ = [
    "ARCHITECTURES",
    "TEXTS",
    "TOKENIZERS",
    "check_annotator",
    "same",
    "tiny_model",
    "tiny_tokenizer",
]
