"""The factory under which spaCy and bertpipe find the component; loads no model code."""

from typing import TYPE_CHECKING

from spacy.language import Language

from bertpipe import ENCODER, encoder_settings

if TYPE_CHECKING:
    from bertpipe_pair.annotator import BertPair


@Language.factory(
    "bert_pair",
    assigns=["doc._.bertpipe"],
    default_config={
        "revision": None,
        **ENCODER,
        "task": "classification",
        "second": None,
        "sentences": None,
        "function": None,
        "pooling": "mean",
    },
)
def bert_pair(
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
    task: str,
    second: str | None,
    sentences: str | None,
    function: str | None,
    pooling: str,
) -> "BertPair":
    """Return a component that classifies pairs of texts."""
    from bertpipe_pair.annotator import BertPair

    return BertPair(
        name,
        model=model,
        revision=revision,
        encoder=encoder_settings(device, precision, batch_tokens, max_length, stride, truncation),
        task=task,
        second=second,
        sentences=sentences,
        function=function,
        pooling=pooling,
    )
