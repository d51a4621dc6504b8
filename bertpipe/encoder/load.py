"""Load a model of transformers as an encoder and a head, and check that they equal it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bertpipe.batching.plan import Batch, pack
from bertpipe.batching.tokens import Template, find_template, prepare, tokenize
from bertpipe.batching.windows import Items, cut
from bertpipe.encoder.base import Encoder, SharedRun, Stage, digest, pooled, to_device
from bertpipe.encoder.device import OPENVINO
from bertpipe.encoder.head import HeadModule, Pooler, read_output
from bertpipe.encoder.hf import hf_encoder
from bertpipe.encoder.opening import open_model, open_tokenizer, window_limit
from bertpipe.encoder.packed import packed_encoder
from bertpipe.errors import ConfigError, ModelError

PROBE = ("A probe.", "One more, a little longer than the first: 1, 2, 3.")
# The packed encoder adds the same numbers in another order; more than this is another model.
TOLERANCE = 1e-4
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


def load(
    path: Path,
    *,
    auto_class: str,
    states: str,
    device: str,
    precision: str,
    compiled: bool = False,
) -> LoadedModel:
    """Load a model folder and check on a probe that encoder and head together equal the model.

    auto_class: the name of the class of transformers, such as AutoModelForTokenClassification;
    AutoModel is a bare encoder. states: which hidden states the head reads, one of `STATES`.
    compiled: with kernels of torch.compile, which are made here.
    """
    model = open_model(path, auto_class)
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
    if compiled:
        encoder = _compiled(base, encoder, states, precision, probe)
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


def _compiled(base: Any, encoder: Encoder, states: str, precision: str, probe: Batch) -> Encoder:
    """Return a packed encoder again, with compiled kernels; a first batch has gone through them."""
    if encoder.kind != "packed" or precision in OPENVINO:
        raise ConfigError(
            f"compile is not for a model of type {base.config.model_type!r} in precision "
            f"{precision}, only for BERT, RoBERTa, ELECTRA, DistilBERT and their kin without "
            "OpenVINO; leave it out."
        )
    made = packed_encoder(
        base,
        device=encoder.device,
        precision=encoder.precision,
        first_token=states in ("first", "pooler"),
        compiled=True,
    )
    assert made is not None
    made = _pooled(made, base, states)
    try:
        with torch.inference_mode():
            SharedRun([made])(to_device(probe, made.device))
    except Exception as error:  # what a missing or broken compiler raises is not one kind
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"torch.compile fails here ({reason}); install a C++ compiler or leave compile out."
        ) from error
    return made


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
    pooler = Pooler(base).to(encoder.device)
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
        found.append(read_output(output, states))
    return torch.cat(found)


@torch.inference_mode()
def _agrees(encoder: Encoder, head: nn.Module, probe: Batch, expected: Tensor) -> bool:
    hidden = SharedRun([encoder])(to_device(probe, encoder.device))[0]
    found = head(hidden)
    if found.shape != expected.shape:
        return False
    scale = max(1.0, expected.abs().max().item())
    return (found - expected).abs().max().item() <= TOLERANCE * scale
