"""Load a model of transformers as an encoder and a head; the only file that knows its classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from bertpipe.encoder.base import Encoder, SharedRun, Stage, digest, pooled, to_device
from bertpipe.encoder.device import OPENVINO
from bertpipe.encoder.hf import hf_encoder
from bertpipe.encoder.packed import packed_encoder
from bertpipe.errors import ConfigError, ModelError

PROBE = ("A probe.", "One more, a little longer than the first: 1, 2, 3.")
# The packed encoder adds the same numbers in another order; more than this is another model.
TOLERANCE = 1e-4
TASKS = ("ForTokenClassification", "ForSequenceClassification", "ForQuestionAnswering")
# What a head reads: the states of tokens, or one a window. The last three are for bare encoders.
STATES = ("tokens", "first", "mean", "max", "pooler")


@dataclass(frozen=True)
class LoadedModel:
    """A model split in two: the encoder, and the head that reads its hidden states.

    head: maps hidden states (n, width) to logits; of a bare encoder, to themselves.
    config: as transformers has it. labels: the label of each score, in order.
    max_length: the most tokens that a window may have, special tokens included.
    mask_token: None for a model that has none.
    """

    encoder: Encoder
    head: nn.Module
    config: Any
    tokenizer: Any
    template: Template
    labels: tuple[str, ...]
    max_length: int
    mask_token: str | None


def load(path: Path, *, auto_class: str, states: str, device: str, precision: str) -> LoadedModel:
    """Load a model folder and check on a probe that encoder and head together equal the model.

    auto_class: the name of the class of transformers, such as AutoModelForTokenClassification;
    AutoModel is a bare encoder. states: which hidden states the head reads, one of `STATES`.
    """
    model = _open(path, auto_class)
    _refuse_other_task(path, auto_class, model.config)
    tokenizer = open_tokenizer(path)
    backend = prepare(tokenizer)
    # transformers passes on what the tokenizer says its model was trained with.
    template = find_template(backend, has_types="token_type_ids" in tokenizer.model_input_names)
    probe = _probe(backend, template)
    base, config = model.base_model, model.config
    if states == "pooler" and getattr(base, "pooler", None) is None:
        raise ModelError(f"The model at {path} has no pooler; read other states: first, mean, max.")
    expected = _whole_model(model, probe, states)
    head = nn.Identity() if base is model else HeadModule(model, first_token=states == "first")
    encoder = _encoder(base, head, probe, expected, states, device, precision)
    if precision in OPENVINO:
        encoder = _with_openvino(base, encoder, states, precision, backend, template)
    return LoadedModel(
        encoder=encoder,
        head=head.to(device),
        config=config,
        tokenizer=backend,
        template=template,
        labels=tuple(config.id2label[i] for i in sorted(config.id2label)),
        max_length=window_limit(base.config, tokenizer),
        mask_token=tokenizer.mask_token,
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
        return _read(output, "first" if self.first_token else "tokens")


class _Given(nn.Module):
    """Stands in for a base model: gives out the hidden states that it was handed."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.pooler = None if getattr(base, "pooler", None) is None else _Pooler(base)
        self.hidden = torch.empty(0)

    def forward(self, *args: object, **kwargs: object) -> BaseModelOutputWithPooling:
        del args, kwargs
        pooled = None if self.pooler is None else self.pooler(self.hidden[:, 0])
        return BaseModelOutputWithPooling(last_hidden_state=self.hidden, pooler_output=pooled)


class _Pooler(nn.Module):
    """The pooler of a base model, given first tokens alone."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.pooler = base.pooler
        self.activation = getattr(base, "pooler_activation", None)

    def forward(self, first: Tensor) -> Tensor:
        """Map (n_windows, width) to the same shape."""
        if self.activation is not None:  # ALBERT's pooler is a bare linear layer
            return self.activation(self.pooler(first))
        return self.pooler(first[:, None])


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
    missing = report["missing_keys"]
    if auto_class == "AutoModel" and all(key.startswith("pooler.") for key in missing):
        if missing:
            model.pooler = None  # it would be random
    elif missing:
        names = ", ".join(sorted(missing)[:3])
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
    base: Any,
    head: nn.Module,
    probe: Batch,
    expected: Tensor,
    states: str,
    device: str,
    precision: str,
) -> Encoder:
    """Return the packed encoder when it computes what the model computes, else the padded one."""
    first = states in ("first", "pooler")
    for make in (packed_encoder, hf_encoder):
        trial = make(base, device="cpu", precision="fp32", first_token=first)
        if trial is None or not _agrees(_pooled(trial, base, states), head, probe, expected):
            continue
        numbers = "fp32" if precision in OPENVINO else precision
        made = make(base, device=device, precision=numbers, first_token=first)
        assert made is not None
        return _pooled(made, base, states)
    kind = base.config.model_type
    raise ModelError(
        f"A model of type {kind!r} cannot be split into an encoder and a head that reads its "
        "hidden states; use a fine-tuned BERT, RoBERTa, ELECTRA, DistilBERT, ALBERT or their kin."
    )


def _with_openvino(
    base: Any, encoder: Encoder, states: str, precision: str, tokenizer: Any, template: Template
) -> Encoder:
    """Return the encoder of OpenVINO in place of a packed one."""
    if encoder.kind != "packed":
        raise ConfigError(
            f"precision {precision} is not for a model of type {base.config.model_type!r}, only for"
            " BERT, RoBERTa, ELECTRA, DistilBERT and their kin; use another precision."
        )
    from bertpipe.encoder.openvino import openvino_encoder

    made = openvino_encoder(
        base,
        precision=precision,
        first_token=states in ("first", "pooler"),
        tokenizer=tokenizer,
        template=template,
    )
    return _pooled(made, base, states)


def _pooled(encoder: Encoder, base: Any, states: str) -> Encoder:
    """Add what makes one state a window of the encoder's states."""
    if states in ("mean", "max"):
        return pooled(encoder, states)
    if states != "pooler":
        return encoder
    pooler = _Pooler(base).to(encoder.device)
    key = f"{digest(pooler)}/{encoder.device}"
    stage = Stage(key, lambda hidden, inputs: pooler(hidden))
    return replace(encoder, stages=(*encoder.stages, stage))


def _probe(backend: Any, template: Template) -> Batch:
    """Return a batch of two short texts of different length."""
    tokens = tokenize(backend, PROBE)
    windows = cut(tokens, Items(np.arange(len(PROBE))), template, max_length=64, stride=0)
    return pack(np.argsort(-windows.lengths), tokens, windows, template)


@torch.inference_mode()
def _whole_model(model: Any, probe: Batch, states: str) -> Tensor:
    """Return the output of the model as transformers runs it, one window at a time."""
    found = []
    for start, end in pairwise(probe.offsets):
        ids = torch.from_numpy(probe.ids[start:end])[None]
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids))
        found.append(_read(output, states))
    return torch.cat(found)


@torch.inference_mode()
def _agrees(encoder: Encoder, head: nn.Module, probe: Batch, expected: Tensor) -> bool:
    hidden = SharedRun([encoder])(to_device(probe, encoder.device))[0]
    found = head(hidden)
    if found.shape != expected.shape:
        return False
    scale = max(1.0, expected.abs().max().item())
    return (found - expected).abs().max().item() <= TOLERANCE * scale


def _read(output: Any, states: str) -> Tensor:
    """Return logits (n, n_scores) or hidden states (n, width) of the output for one window."""
    if "start_logits" in output:
        return torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)
    if "logits" in output:
        return output.logits if states == "first" else output.logits[0]
    if states == "pooler":
        return output.pooler_output
    hidden = output.last_hidden_state[0]
    if states == "mean":
        return hidden.mean(0, keepdim=True)
    if states == "max":
        return hidden.amax(0, keepdim=True)
    return hidden[:1] if states == "first" else hidden
