"""Annotate large text corpora with BERT-family models.

The public names are loaded when they are first used: importing bertpipe loads neither torch
nor spaCy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertpipe.annotator import Annotator as Annotator
    from bertpipe.annotator import Head as Head
    from bertpipe.api import annotate as annotate
    from bertpipe.api import run as run
    from bertpipe.errors import BertpipeError as BertpipeError
    from bertpipe.errors import DocumentError as DocumentError
    from bertpipe.errors import UsageError as UsageError

__version__ = "0.1.0"

_HOMES = {
    "Annotator": "bertpipe.annotator",
    "BertpipeError": "bertpipe.errors",
    "DocumentError": "bertpipe.errors",
    "Head": "bertpipe.annotator",
    "UsageError": "bertpipe.errors",
    "annotate": "bertpipe.api",
    "run": "bertpipe.api",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bertpipe' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
