"""Load a model of transformers as an encoder and a head; the only file that knows its classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from packaging.version import Version
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import logging

from bertpipe.batching.plan import Batch, pack
from bertpipe.batching.tokens import Template, find_template, prepare, tokenize
from bertpipe.batching.windows import Items, cut
from bertpipe.encoder.base import Encoder, SharedRun, to_device
from bertpipe.encoder.hf import hf_encoder
from bertpipe.encoder.packed import packed_encoder
from bertpipe.errors import ModelError

PROBE = ("A probe.", "One more, a little longer than the first: 1, 2, 3.")
# The packed encoder adds the same numbers in another order; more than this is another model.
TOLERANCE = 1e-4
TASKS = ("ForTokenClassification", "ForSequenceClassification", "ForQuestionAnswering")


@dataclass(frozen=True)
class LoadedModel:
    """A model split in two: the encoder, and the head that reads its hidden states.

    labels: the label of each score, in order; empty for a model without any.
    max_length: the most tokens that a window may have, special tokens included.
    """

    encoder: Encoder
    head: HeadModule
    tokenizer: Any
    template: Template
    labels: tuple[str, ...]
    max_length: int


def load(
    path: Path, *, auto_class: str, first_token: bool, device: str, precision: str
) -> LoadedModel:
    """Load a model folder and check on a probe that encoder and head together equal the model.

    auto_class: the name of the class of transformers, such as AutoModelForTokenClassification.
    first_token: true when the head reads only the first token's hidden state.
    """
    model = _open(path, auto_class)
    _refuse_other_task(path, auto_class, model.config)
    tokenizer = open_tokenizer(path)
    backend = prepare(tokenizer)
    # transformers passes on what the tokenizer says its model was trained with.
    template = find_template(backend, has_types="token_type_ids" in tokenizer.model_input_names)
    probe = _probe(backend, template)
    expected = _whole_model(model, probe, first_token=first_token)
    base = model.base_model
    head = HeadModule(model, first_token=first_token)
    encoder = _encoder(base, head, probe, expected, device, precision)
    config = model.config
    return LoadedModel(
        encoder=encoder,
        head=head.to(device),
        tokenizer=backend,
        template=template,
        labels=tuple(config.id2label[i] for i in sorted(config.id2label)),
        max_length=window_limit(base.config, tokenizer),
    )


class HeadModule(nn.Module):
    """A model of transformers whose base is given its hidden states instead of computing them."""

    def __init__(self, model: Any, *, first_token: bool) -> None:
        super().__init__()
        self.first_token = first_token
        base = model.base_model
        self.given = _Given(base)
        setattr(model, model.base_model_prefix, self.given)
        self.model = model

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n, width) to logits (n, n_scores) in fp32."""
        self.given.hidden = hidden[:, None] if self.first_token else hidden[None]
        output = self.model(input_ids=self.given.hidden.new_zeros(1, 1, dtype=torch.long))
        return _logits(output, first_token=self.first_token)


class _Given(nn.Module):
    """Stands in for a base model: gives out the hidden states that it was handed."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.pooler = getattr(base, "pooler", None)
        self.pooler_activation = getattr(base, "pooler_activation", None)
        self.hidden = torch.empty(0)

    def forward(self, *args: object, **kwargs: object) -> BaseModelOutputWithPooling:
        del args, kwargs
        return BaseModelOutputWithPooling(
            last_hidden_state=self.hidden, pooler_output=self._pooled()
        )

    def _pooled(self) -> Tensor | None:
        if self.pooler is None:
            return None
        if self.pooler_activation is not None:  # ALBERT's pooler is a bare linear layer
            return self.pooler_activation(self.pooler(self.hidden[:, 0]))
        return self.pooler(self.hidden)


def _open(path: Path, auto_class: str) -> Any:
    kind = getattr(transformers, auto_class)
    dtype = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    try:
        with _quiet():
            model, report = kind.from_pretrained(
                path,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **{dtype: torch.float32},
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"The model at {path} does not open as {auto_class}: {reason}") from error
    if report["missing_keys"]:
        names = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(
            f"The model at {path} lacks weights of {auto_class} ({names}); it was not trained for "
            "this task. Give a fine-tuned model or another component."
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _refuse_other_task(path: Path, auto_class: str, config: Any) -> None:
    """Refuse a model that says it was trained for another task, though its weights may fit."""
    wanted = auto_class.removeprefix("AutoModel")
    for name in config.architectures or ():
        if wanted in TASKS and name.endswith(TASKS) and not name.endswith(wanted):
            raise ModelError(
                f"The model at {path} is a {name}, wanted is one {wanted.replace('For', 'for ')}; "
                "give a model of that task or another component."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing progress bars and reports; we say what is wrong."""
    had_bar, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bar:
            logging.enable_progress_bar()


def open_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a model folder."""
    try:
        return transformers.AutoTokenizer.from_pretrained(
            path, use_fast=True, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"The model at {path} has no tokenizer that opens: {error}") from error


# Their positions are counted from the one after the padding token's id.
POSITIONS_AFTER_PADDING = frozenset(
    {
        "roberta",
        "xlm-roberta",
        "camembert",
        "mpnet",
        "longformer",
        "data2vec-text",
        "xlm-roberta-xl",
    }
)


def window_limit(config: Any, tokenizer: Any) -> int:
    """Return the most tokens of a window: the positions that the encoder really has."""
    limit = getattr(config, "max_position_embeddings", 512)
    if config.model_type in POSITIONS_AFTER_PADDING:
        limit -= config.pad_token_id + 1
    return min(limit, tokenizer.model_max_length)


def _encoder(
    base: Any, head: HeadModule, probe: Batch, expected: Tensor, device: str, precision: str
) -> Encoder:
    """Return the packed encoder when it computes what the model computes, else the padded one."""
    first = head.first_token
    for make in (packed_encoder, hf_encoder):
        trial = make(base, device="cpu", precision="fp32", first_token=first)
        if trial is None or not _agrees(trial, head, probe, expected):
            continue
        if (device, precision) == ("cpu", "fp32"):
            return trial
        made = make(base, device=device, precision=precision, first_token=first)
        assert made is not None
        return made
    kind = base.config.model_type
    raise ModelError(
        f"A model of type {kind!r} cannot be split into an encoder and a head that reads its "
        "hidden states; use a fine-tuned BERT, RoBERTa, ELECTRA, DistilBERT, ALBERT or their kin."
    )


def _probe(backend: Any, template: Template) -> Batch:
    """Return a batch of two short texts of different length."""
    tokens = tokenize(backend, PROBE)
    windows = cut(tokens, Items(np.arange(len(PROBE))), template, max_length=64, stride=0)
    return pack(np.argsort(-windows.lengths), tokens, windows, template)


@torch.inference_mode()
def _whole_model(model: Any, probe: Batch, *, first_token: bool) -> Tensor:
    """Return the logits of the model as transformers runs it, one window at a time."""
    found = []
    for start, end in pairwise(probe.offsets):
        ids = torch.from_numpy(probe.ids[start:end])[None]
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids))
        found.append(_logits(output, first_token=first_token))
    return torch.cat(found)


@torch.inference_mode()
def _agrees(encoder: Encoder, head: HeadModule, probe: Batch, expected: Tensor) -> bool:
    hidden = SharedRun([encoder])(to_device(probe, encoder.device))[0]
    found = head(hidden)
    if found.shape != expected.shape:
        return False
    scale = max(1.0, expected.abs().max().item())
    return (found - expected).abs().max().item() <= TOLERANCE * scale


def _logits(output: Any, *, first_token: bool) -> Tensor:
    """Return logits (n, n_scores) of a model's output: one row a token, or a window."""
    if "start_logits" in output:
        return torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)
    return output.logits if first_token else output.logits[0]
