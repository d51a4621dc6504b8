"""The factory; it is imported to list components, so that what is heavy stays inside."""

from typing import Annotated, Any

import pyarrow as pa
from spacy.language import Language

from bertpipe import ENCODER, encoder_settings


@Language.factory(
    "my_annotator",
    default_config={"model": "en_sentiment_mini", "revision": None, **ENCODER, "pooling": "mean"},
)
def my_annotator(
    nlp: Language,
    name: str,
    model: str,
    revision: str | None,
    device: str,
    precision: str,
    batch_tokens: int | None,
    max_length: int | None,
    stride: int,
    truncation: str,
    pooling: str,
) -> Annotated[Any, pa.float32()]:
    """Return the component of a block in a config."""
    from my_annotator.annotator import MyAnnotator

    encoder = encoder_settings(device, precision, batch_tokens, max_length, stride, truncation)
    return MyAnnotator(name, model=model, revision=revision, encoder=encoder, pooling=pooling)
