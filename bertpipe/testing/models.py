"""Models with random weights in Hugging Face layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertpipe.testing.tokenizers import tiny_tokenizer

ARCHITECTURES = ("bert", "distilbert", "roberta", "electra", "albert")
TASKS = {
    "ner": "AutoModelForTokenClassification",
    "classifier": "AutoModelForSequenceClassification",
    "qa": "AutoModelForQuestionAnswering",
    "encoder": "AutoModel",
    "fill_mask": "AutoModelForMaskedLM",
    "next_sentence": "AutoModelForNextSentencePrediction",
}
IOB = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
# What real models of these architectures use.
_TOKENIZERS = {"roberta": "bytes", "albert": "unigram"}


def tiny_model(
    folder: Path,
    *,
    task: str,
    architecture: str = "bert",
    labels: Sequence[str] = IOB,
    tokenizer: str | None = None,
    max_length: int = 64,
    seed: int = 0,
    **config: Any,
) -> Path:
    """Write a model with random weights in Hugging Face layout and return its folder.

    task: one of TASKS; encoder is a model without a head. architecture: one of ARCHITECTURES.
    tokenizer: wordpiece, bytes or unigram, made here; by default what the architecture usually has.
    config: further settings of the model's config, such as `problem_type`.
    """
    import torch
    import transformers

    kind = tokenizer or _TOKENIZERS.get(architecture, "wordpiece")
    has_types = architecture not in ("distilbert", "roberta")
    made = tiny_tokenizer(
        kind, max_length=max_length, has_types=has_types, has_mask=task == "fill_mask"
    )
    names = labels if task in ("ner", "classifier") else ("LABEL_0", "LABEL_1")
    settings = transformers.AutoConfig.for_model(
        architecture,
        **_sizes(architecture, max_length),
        vocab_size=len(made),
        pad_token_id=made.pad_token_id,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        initializer_range=0.3,
        **config,
    )
    torch.manual_seed(seed)
    model = getattr(transformers, TASKS[task]).from_config(settings)
    _spread(model.eval(), len(made))
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def _spread(model: Any, n_pieces: int) -> None:
    """Make the outputs of a new model differ: from token to token and from label to label."""
    import torch

    with torch.no_grad():
        model.get_input_embeddings().weight *= 4
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
        outputs = model(input_ids=torch.randint(n_pieces, (32, 8)))
        *_, last_bias = model.parameters()
        if "logits" in outputs and last_bias.shape == outputs.logits.shape[-1:]:
            last_bias -= outputs.logits.flatten(0, -2).mean(0)


def _sizes(architecture: str, max_length: int) -> dict[str, Any]:
    if architecture == "distilbert":
        return {
            "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64,
            "max_position_embeddings": max_length,
        }  # fmt: skip
    sizes = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": max_length,
    }  # fmt: skip
    if architecture == "roberta":
        sizes |= {"max_position_embeddings": max_length + 2, "type_vocab_size": 1}
    if architecture in ("electra", "albert"):
        sizes["embedding_size"] = 16
    return sizes
