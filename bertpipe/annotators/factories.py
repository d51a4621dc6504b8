"""The factories under which spaCy finds the components; importing this loads no model code.

Settings are flat, as in a block of a run's config, with the same defaults. A plug-in's factory has
`**ENCODER` among its defaults and hands those settings to `encoder_settings`.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spacy.language import Language

from bertpipe.config import EncoderSettings
from bertpipe.docs import register

if TYPE_CHECKING:
    from bertpipe.annotators.classification import BertClassifier
    from bertpipe.annotators.ner import BertNer
    from bertpipe.annotators.qa import BertQa

# What a run decides about the hub is, in spaCy, the environment's to say; compiling is for runs.
ENCODER = {
    name: value
    for name, value in asdict(EncoderSettings()).items()
    if name not in ("offline", "compile", "upstream")
}


@Language.factory(
    "bert_ner",
    assigns=["doc.ents", "doc._.bertpipe"],
    default_config={
        "model": "en_ner_mini",
        "revision": None,
        **ENCODER,
        "encoder": None,
        "aggregation": "auto",
        "alignment_mode": "expand",
        "spans_key": None,
        "overwrite": False,
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def bert_ner(
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
    aggregation: str,
    alignment_mode: str,
    spans_key: str | None,
    overwrite: bool,
) -> "BertNer":
    """Return a component that finds named entities."""
    from bertpipe.annotators.ner import BertNer

    return BertNer(
        name,
        model=model,
        revision=revision,
        encoder=encoder_settings(
            device, precision, batch_tokens, max_length, stride, truncation, upstream=encoder
        ),
        aggregation=aggregation,
        alignment_mode=alignment_mode,
        spans_key=spans_key,
        overwrite=overwrite,
    )


@Language.factory(
    "bert_classifier",
    assigns=["doc.cats", "doc._.bertpipe"],
    default_config={
        "model": "en_sentiment_mini",
        "revision": None,
        **ENCODER,
        "encoder": None,
        "labels": None,
        "multi_label": None,
        "function": None,
        "threshold": 0.5,
        "top_k": 20,
        "pooling": "mean",
        "per": "document",
        "sentences": None,
    },
    default_score_weights={"cats_score": 1.0},
)
def bert_classifier(
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
    labels: dict[str, str] | None,
    multi_label: bool | None,
    function: str | None,
    threshold: float,
    top_k: int,
    pooling: str,
    per: str,
    sentences: str | None,
) -> "BertClassifier":
    """Return a component that classifies texts."""
    from bertpipe.annotators.classification import BertClassifier

    return BertClassifier(
        name,
        model=model,
        revision=revision,
        encoder=encoder_settings(
            device, precision, batch_tokens, max_length, stride, truncation, upstream=encoder
        ),
        labels=labels,
        multi_label=multi_label,
        function=function,
        threshold=threshold,
        top_k=top_k,
        pooling=pooling,
        per=per,
        sentences=sentences,
    )


@Language.factory(
    "bert_qa",
    assigns=["doc.spans", "doc._.bertpipe"],
    default_config={
        "model": "en_qa_mini",
        "revision": None,
        **ENCODER,
        "questions": None,
        "question_field": None,
        "top_k": 1,
        "max_answer_length": 30,
        "no_answer_threshold": 0.0,
    },
)
def bert_qa(
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
    questions: dict[str, str] | None,
    question_field: str | None,
    top_k: int,
    max_answer_length: int,
    no_answer_threshold: float,
) -> "BertQa":
    """Return a component that finds answers to questions."""
    from bertpipe.annotators.qa import BertQa

    return BertQa(
        name,
        model=model,
        revision=revision,
        encoder=encoder_settings(device, precision, batch_tokens, max_length, stride, truncation),
        questions=questions,
        question_field=question_field,
        top_k=top_k,
        max_answer_length=max_answer_length,
        no_answer_threshold=no_answer_threshold,
    )


def encoder_settings(
    device: str,
    precision: str,
    batch_tokens: int | None,
    max_length: int | None,
    stride: int,
    truncation: str,
    *,
    upstream: str | None = None,
) -> EncoderSettings:
    """Return the settings of the encoder; `auto` is the device that spaCy was told to use.

    upstream: `transformer`, to read the hidden states of that component of the pipeline instead.
    """
    register()
    return EncoderSettings(
        device=spacy_device() if device == "auto" else device,
        precision=precision,
        batch_tokens=batch_tokens,
        max_length=max_length,
        stride=stride,
        truncation=truncation,
        upstream=upstream,
    )


def spacy_device() -> str:
    """Return the device of `spacy.prefer_gpu`, `require_gpu` or `require_cpu`."""
    from thinc.api import get_current_ops

    ops: Any = get_current_ops()
    return f"cuda:{ops.device_id}" if ops.name == "cupy" else "cpu"
