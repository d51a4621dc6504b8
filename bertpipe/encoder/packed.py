"""One transformer block for BERT, RoBERTa, ELECTRA, DistilBERT and their kin, without padding.

Windows lie end to end in one row of tokens; only attention looks at where each begins. Built from
the weights of the model that transformers loads: query, key and value as one product, and the last
layer for first tokens alone where nothing else is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from bertpipe.encoder.attention import attend, attend_first
from bertpipe.encoder.base import Encoder, Inputs, Stage, digest
from bertpipe.encoder.product import Product, whole_steps

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BERT_LIKE = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra"})


@dataclass(frozen=True)
class _Names:
    """Where a model of transformers keeps the parts of a layer (dotted attribute names)."""

    query: str
    key: str
    value: str
    attention_out: str
    attention_norm: str
    up: str
    down: str
    norm: str


_BERT = _Names(
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
_DISTILBERT = _Names(
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)


class Embeddings(nn.Module):
    """Sum word, position and segment embeddings, normalise, and project where ELECTRA does."""

    def __init__(self, base: Any, *, first_position: int) -> None:
        super().__init__()
        source = base.embeddings
        self.words = source.word_embeddings
        self.positions = source.position_embeddings
        self.types = getattr(source, "token_type_embeddings", None)
        self.norm = source.LayerNorm
        self.project = getattr(base, "embeddings_project", None)
        self.first_position = first_position

    def forward(self, inputs: Inputs) -> Tensor:
        """Return hidden states (n_tokens, width) in fp32."""
        return self.sum(inputs.ids, inputs.types, inputs.positions)

    def sum(self, ids: Tensor, types: Tensor, positions: Tensor) -> Tensor:
        """Return hidden states (..., width) for tokens of any shape (...)."""
        hidden = self.words(ids) + self.positions(positions + self.first_position)
        if self.types is not None:
            hidden = hidden + self.types(types)
        hidden = self.norm(hidden)
        return hidden if self.project is None else self.project(hidden)


class Parts:
    """The parts of a layer of transformers, and what else decides what it computes."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_out: nn.Linear
    attention_norm: nn.LayerNorm
    up: nn.Linear
    down: nn.Linear
    norm: nn.LayerNorm

    def __init__(self, source: nn.Module, names: _Names, config: Any) -> None:
        for name, place in vars(names).items():
            setattr(self, name, source.get_submodule(place))
        self.n_heads: int = config.num_attention_heads
        self.activation = _activation_name(config)
        eps = (self.attention_norm.eps, self.norm.eps)
        self.digest = digest(source, ("layer", self.n_heads, self.activation, eps))


class Layer:
    """A transformer layer with the norm after each residual sum.

    Matrix products run in `dtype`; residual sums and norms stay in fp32.
    """

    def __init__(self, parts: Parts, dtype: torch.dtype, device: str, *, compiled: bool) -> None:
        self.n_heads = parts.n_heads
        self.dtype = dtype
        self.qkv = Product([parts.query, parts.key, parts.value], dtype, device)
        self.rest = _FeedForward(parts, dtype, device, compiled=compiled)

    def __call__(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Map hidden states (n_tokens, width) to the same shape."""
        n_tokens, width = hidden.shape
        qkv = self.qkv(hidden.to(self.dtype)).view(n_tokens, 3, self.n_heads, -1)
        return self.rest(hidden, attend(qkv, inputs).reshape(n_tokens, width))


class FirstTokenLayer:
    """A layer for each window's first token alone.

    Keys and values need every token; queries and all that follows need one a window.
    """

    def __init__(self, parts: Parts, dtype: torch.dtype, device: str, *, compiled: bool) -> None:
        self.n_heads = parts.n_heads
        self.dtype = dtype
        self.query = Product([parts.query], dtype, device)
        self.key_value = Product([parts.key, parts.value], dtype, device)
        self.rest = _FeedForward(parts, dtype, device, compiled=compiled)

    def __call__(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Map hidden states (n_tokens, width) to (n_windows, width)."""
        cast, first = hidden.to(self.dtype), inputs.first
        query = self.query(cast[first]).view(len(first), self.n_heads, -1)
        key_value = self.key_value(cast).view(len(hidden), 2, self.n_heads, -1)
        mixed = attend_first(query, key_value, inputs)
        return self.rest(hidden[first], mixed.reshape(len(first), -1))


class _FeedForward:
    """What follows attention in a layer.

    compiled: torch.compile makes one kernel of each norm of a sum and of the activation. The
    products and attention stay calls of a library, which it would not make faster.
    """

    def __init__(self, parts: Parts, dtype: torch.dtype, device: str, *, compiled: bool) -> None:
        self.dtype = dtype
        self.activation = activation(parts.activation, compiled=compiled)
        self.norm_of_sum = norm_of_sum(compiled=compiled)
        self.attention_out = Product([parts.attention_out], dtype, device)
        self.up = Product([parts.up], dtype, device)
        self.down = Product([parts.down], dtype, device)
        self.attention_norm = parts.attention_norm.to(device)
        self.norm = parts.norm.to(device)

    def __call__(self, residual: Tensor, mixed: Tensor) -> Tensor:
        hidden = self._add(residual, self.attention_out(mixed), self.attention_norm)
        inner = self.activation(self.up(hidden.to(self.dtype)))
        return self._add(hidden, self.down(inner), self.norm)

    def _add(self, residual: Tensor, change: Tensor, norm: nn.LayerNorm) -> Tensor:
        return self.norm_of_sum(residual, change, norm.weight, norm.bias, norm.eps)


@cache
def activation(name: str, *, compiled: bool) -> Callable[[Tensor], Tensor]:
    """Return an activation of transformers by name, one object for all layers."""
    found: Callable[[Tensor], Tensor] = ACT2FN[name]
    return torch.compile(found, dynamic=True) if compiled else found


@cache
def norm_of_sum(*, compiled: bool) -> Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]:
    """Return what adds two tensors (n, width) and normalises: (a, b, weight, bias, eps)."""

    def add(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        return functional.layer_norm(a + b, weight.shape, weight, bias, eps)

    return torch.compile(add, dynamic=True) if compiled else add


def packed_encoder(
    base: Any, *, device: str, precision: str, first_token: bool, compiled: bool = False
) -> Encoder | None:
    """Build the packed encoder of a model, or return None where its architecture is another."""
    layers = parts_of(base)
    if layers is None:
        return None
    suffix = f"{device}/{precision}{'/compiled' if compiled else ''}"
    embeddings = embeddings_of(base)
    key = digest(embeddings, ("embeddings", embeddings.first_position, embeddings.norm.eps))
    embeddings = embeddings.to(device).eval()
    stages = [Stage(f"{key}/{suffix}", lambda _, inputs: whole_steps(embeddings(inputs)))]
    for i, parts in enumerate(layers):
        only_first = first_token and i == len(layers) - 1
        kind = FirstTokenLayer if only_first else Layer
        layer: Any = kind(parts, DTYPES[precision], device, compiled=compiled)
        key = f"{parts.digest}/{suffix}{'/first' if only_first else ''}"
        stages.append(Stage(key, layer, n_layers=1))
    return Encoder(tuple(stages), device, precision, "packed")


def embeddings_of(base: Any) -> Embeddings:
    """Return the embeddings of a model whose layers `parts_of` finds."""
    return Embeddings(base, first_position=_first_position(base.config))


def parts_of(base: Any) -> list[Parts] | None:
    """Return the layers of a model, or None where its architecture is another."""
    layers, names = _layers(base)
    if names is None or not _is_plain(base.config):
        return None
    return [Parts(layer, names, base.config) for layer in layers]


def _layers(base: Any) -> tuple[list[nn.Module], _Names | None]:
    kind = base.config.model_type
    if kind in BERT_LIKE:
        return list(base.encoder.layer), _BERT
    if kind == "distilbert":
        return list(base.transformer.layer), _DISTILBERT
    return [], None


def _is_plain(config: Any) -> bool:
    """Tell whether attention is the plain kind, neither relative nor causal."""
    relative = getattr(config, "position_embedding_type", None) not in (None, "absolute")
    return not relative and not getattr(config, "is_decoder", False)


def _first_position(config: Any) -> int:
    # RoBERTa and its kin count positions from the one after the padding token's id.
    kind = config.model_type
    if kind in ("roberta", "xlm-roberta", "camembert"):
        return config.pad_token_id + 1
    return 0


def _activation_name(config: Any) -> str:
    return getattr(config, "hidden_act", None) or config.activation
