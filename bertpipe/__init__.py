"""Annotate large text corpora with BERT-family models.

The public names are loaded when they are first used: importing bertpipe loads neither torch
nor spaCy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertpipe import docs as docs
    from bertpipe.annotator import Annotator as Annotator
    from bertpipe.annotator import Head as Head
    from bertpipe.annotators.base import BertAnnotator as BertAnnotator
    from bertpipe.annotators.base import check_choice as check_choice
    from bertpipe.annotators.base import check_range as check_range
    from bertpipe.annotators.classes import to_classes as to_classes
    from bertpipe.annotators.classification import pool_windows as pool_windows
    from bertpipe.annotators.factories import ENCODER as ENCODER
    from bertpipe.annotators.factories import encoder_settings as encoder_settings
    from bertpipe.annotators.questions import pair_request as pair_request
    from bertpipe.annotators.request import Request as Request
    from bertpipe.annotators.request import Windowed as Windowed
    from bertpipe.annotators.request import text_request as text_request
    from bertpipe.annotators.sentences import sentence_reads as sentence_reads
    from bertpipe.annotators.sentences import sentence_request as sentence_request
    from bertpipe.annotators.sentences import span_lists as span_lists
    from bertpipe.api import annotate as annotate
    from bertpipe.api import run as run
    from bertpipe.config import EncoderSettings as EncoderSettings
    from bertpipe.encoder.load import LoadedModel as LoadedModel
    from bertpipe.errors import BertpipeError as BertpipeError
    from bertpipe.errors import ConfigError as ConfigError
    from bertpipe.errors import DocumentError as DocumentError
    from bertpipe.errors import ModelError as ModelError
    from bertpipe.errors import UsageError as UsageError
    from bertpipe.records import CLASSIFICATION_TYPE as CLASSIFICATION_TYPE
    from bertpipe.records import CLASSIFIED_SPANS_TYPE as CLASSIFIED_SPANS_TYPE
    from bertpipe.records import NER_TYPE as NER_TYPE
    from bertpipe.records import QA_TYPE as QA_TYPE
    from bertpipe.records import list_of as list_of
    from bertpipe.restore import to_docs as to_docs

__version__ = "0.1.0"

_HOMES = {
    # What users call.
    "annotate": "bertpipe.api",
    "run": "bertpipe.api",
    "to_docs": "bertpipe.restore",
    "BertpipeError": "bertpipe.errors",
    "ConfigError": "bertpipe.errors",
    "DocumentError": "bertpipe.errors",
    "ModelError": "bertpipe.errors",
    "UsageError": "bertpipe.errors",
    # What authors of plug-ins build on; docs/plugins.md says how.
    "Annotator": "bertpipe.annotator",
    "CLASSIFICATION_TYPE": "bertpipe.records",
    "CLASSIFIED_SPANS_TYPE": "bertpipe.records",
    "NER_TYPE": "bertpipe.records",
    "QA_TYPE": "bertpipe.records",
    "list_of": "bertpipe.records",
    # ... and of those with an encoder.
    "BertAnnotator": "bertpipe.annotators.base",
    "ENCODER": "bertpipe.annotators.factories",
    "EncoderSettings": "bertpipe.config",
    "Head": "bertpipe.annotator",
    "LoadedModel": "bertpipe.encoder.load",
    "Request": "bertpipe.annotators.request",
    "Windowed": "bertpipe.annotators.request",
    "check_choice": "bertpipe.annotators.base",
    "check_range": "bertpipe.annotators.base",
    "encoder_settings": "bertpipe.annotators.factories",
    "pair_request": "bertpipe.annotators.questions",
    "pool_windows": "bertpipe.annotators.classification",
    "sentence_reads": "bertpipe.annotators.sentences",
    "sentence_request": "bertpipe.annotators.sentences",
    "span_lists": "bertpipe.annotators.sentences",
    "text_request": "bertpipe.annotators.request",
    "to_classes": "bertpipe.annotators.classes",
}
_MODULES = ("docs",)
__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"bertpipe.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'bertpipe' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
