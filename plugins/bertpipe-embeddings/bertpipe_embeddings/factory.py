"""The factory under which spaCy and bertpipe find the component; loads no model code."""

from typing import TYPE_CHECKING

from spacy.language import Language

from bertpipe import ENCODER, encoder_settings

if TYPE_CHECKING:
    from bertpipe_embeddings.annotator import BertEmbedding


@Language.factory(
    "bert_embedding",
    assigns=["doc.vector", "doc._.bertpipe"],
    default_config={
        "model": "all_minilm_l6_v2",
        "revision": None,
        **ENCODER,
        "encoder": None,
        "pooling": "mean",
        "normalize": True,
        "per": "document",
        "sentences": None,
        "dtype": "float32",
    },
)
def bert_embedding(
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
    encoder: str | None,
    pooling: str,
    normalize: bool,
    per: str,
    sentences: str | None,
    dtype: str,
) -> "BertEmbedding":
    """Return a component that gives texts vectors."""
    from bertpipe_embeddings.annotator import BertEmbedding

    return BertEmbedding(
        name,
        model=model,
        revision=revision,
        encoder=encoder_settings(
            device, precision, batch_tokens, max_length, stride, truncation, upstream=encoder
        ),
        pooling=pooling,
        normalize=normalize,
        per=per,
        sentences=sentences,
        dtype=dtype,
    )
