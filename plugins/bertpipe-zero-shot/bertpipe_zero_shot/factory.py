"""The factory under which spaCy and bertpipe find the component; loads no model code."""

from typing import Annotated, Any

from spacy.language import Language

from bertpipe import CLASSIFICATION_TYPE, ENCODER, encoder_settings


@Language.factory(
    "bert_zero_shot",
    assigns=["doc.cats", "doc._.bertpipe"],
    default_config={
        "model": None,
        "revision": None,
        **ENCODER,
        "labels": None,
        "label_field": None,
        "hypothesis_template": None,
        "method": "entailment",
        "multi_label": False,
        "threshold": 0.5,
        "top_k": 20,
        "pooling": "mean",
        "per": "document",
        "sentences": None,
    },
    default_score_weights={"cats_score": 1.0},
)
def bert_zero_shot(
    nlp: Language,
    name: str,
    model: str | None,
    revision: str | None,
    device: str,
    precision: str,
    batch_tokens: int | None,
    max_length: int | None,
    stride: int,
    truncation: str,
    labels: list[str] | None,
    label_field: str | None,
    hypothesis_template: str | None,
    method: str,
    multi_label: bool,
    threshold: float,
    top_k: int,
    pooling: str,
    per: str,
    sentences: str | None,
) -> Annotated[Any, CLASSIFICATION_TYPE]:
    """Return a component that classifies texts by labels that it is told."""
    from bertpipe_zero_shot.annotator import BertZeroShot

    return BertZeroShot(
        name,
        model=model,
        revision=revision,
        encoder=encoder_settings(device, precision, batch_tokens, max_length, stride, truncation),
        labels=labels,
        label_field=label_field,
        hypothesis_template=hypothesis_template,
        method=method,
        multi_label=multi_label,
        threshold=threshold,
        top_k=top_k,
        pooling=pooling,
        per=per,
        sentences=sentences,
    )
